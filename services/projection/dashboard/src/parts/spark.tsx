// A line of an indicator's months, small enough to stand in a row; the numbers are in the chart of its page.
import type { JSX } from "preact";

const WIDTH = 72;
const HEIGHT = 22;

export function Spark({ values }: { values: (number | null)[] }): JSX.Element | null {
  const points = values.flatMap((value, index) => (value === null ? [] : [{ value, index }]));
  if (points.length < 2) return null;
  const largest = Math.max(...points.map(({ value }) => value)) || 1;
  const place = ({ value, index }: { value: number; index: number }): string =>
    `${((index / (values.length - 1)) * WIDTH).toFixed(1)} ${(HEIGHT - (value / largest) * HEIGHT).toFixed(1)}`;
  return (
    <svg class="spark" viewBox={`-1 -2 ${WIDTH + 2} ${HEIGHT + 4}`} aria-hidden="true">
      <path d={`M${points.map(place).join("L")}`} />
    </svg>
  );
}
