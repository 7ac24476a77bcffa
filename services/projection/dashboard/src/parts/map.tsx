// The map of the districts: one SVG, each district a link, coloured by what it is given; what is pointed at is said below.
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { District } from "../api/schema";
import { useQuery } from "../api/queries";
import { t } from "../texts/language";
import type { Signal } from "./signals";
import { Skeleton } from "./states";
import { districtNames } from "./view";

interface Outlines {
  features: {
    properties: { code: string };
    geometry: { type: "Polygon"; coordinates: number[][][] } | { type: "MultiPolygon"; coordinates: number[][][][] };
  }[];
}

const WIDTH = 320;
const SAMPLES = 24;
const LABEL_ASPECT = 2;

interface Shape {
  code: string;
  path: string;
  at: [number, number];
}

function project(outlines: Outlines): { shapes: Shape[]; height: number } {
  const outlined = outlines.features.map(({ properties, geometry }) => ({
    code: properties.code,
    rings: geometry.type === "Polygon" ? geometry.coordinates : geometry.coordinates.flat(),
  }));
  const points = outlined.flatMap(({ rings }) => rings.flat());
  const [west, east] = extent(points.map((point) => point[0]!));
  const [south, north] = extent(points.map((point) => point[1]!));
  // A degree of longitude is shorter than one of latitude by the cosine of the latitude.
  const narrow = Math.cos((((south + north) / 2) * Math.PI) / 180);
  const scale = WIDTH / ((east - west) * narrow);
  const place = (point: number[]): [number, number] => [
    (point[0]! - west) * narrow * scale,
    (north - point[1]!) * scale,
  ];
  const shapes = outlined.map(({ code, rings }) => {
    const placed = rings.map((ring) => ring.map(place));
    const largest = placed.reduce((a, b) => (b.length > a.length ? b : a));
    return {
      code,
      path: placed.map((ring) => `M${ring.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}Z`).join(""),
      at: labelPoint(largest),
    };
  });
  return { shapes, height: (north - south) * scale };
}

function extent(values: number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** Where a name has most room: of a grid of points inside, the one farthest from the outline; names are wide, so height counts more. */
function labelPoint(ring: [number, number][]): [number, number] {
  const [west, east] = extent(ring.map(([x]) => x));
  const [north, south] = extent(ring.map(([, y]) => y));
  let best: [number, number] = [(west + east) / 2, (north + south) / 2];
  let most = -1;
  for (let row = 1; row < SAMPLES; row += 1) {
    for (let column = 1; column < SAMPLES; column += 1) {
      const x = west + ((east - west) * column) / SAMPLES;
      const y = north + ((south - north) * row) / SAMPLES;
      if (!inside(ring, x, y)) continue;
      const room = Math.min(...ring.map(([px, py]) => Math.hypot((px - x) / LABEL_ASPECT, py - y)));
      if (room > most) {
        most = room;
        best = [x, y];
      }
    }
  }
  return best;
}

function inside(ring: [number, number][], x: number, y: number): boolean {
  let odd = false;
  ring.forEach(([x0, y0], index) => {
    const [x1, y1] = ring[(index + 1) % ring.length]!;
    if (y0 > y !== y1 > y && x < x0 + ((x1 - x0) * (y - y0)) / (y1 - y0)) odd = !odd;
  });
  return odd;
}

/** What an area shows: a signal or a step of four, whether that only indicates, its label, and a sentence. */
export interface Area {
  tone?: Signal;
  step?: number | undefined;
  indicative: boolean;
  label: string;
  about: string;
}

interface Props {
  districts: District[];
  chosen: string;
  href: (code: string) => string;
  areas: Record<string, Area>;
}

export function DistrictMap({ districts, chosen, href, areas }: Props): JSX.Element | null {
  const { data, problem } = useQuery<Outlines>("./map.json", true);
  const sketch = useMemo(() => (data ? project(data) : null), [data]);
  const [pointed, setPointed] = useState("");
  if (!sketch) return problem ? null : <Skeleton lines={12} />;
  const names = districtNames(districts);
  return (
    <figure class="map">
      <svg viewBox={`-4 -4 ${WIDTH + 8} ${sketch.height + 8}`} role="group" aria-label={t("map.sketch")}>
        {sketch.shapes
          .filter((shape) => names[shape.code])
          .map((shape) => {
            const area = areas[shape.code];
            const point = (): void => setPointed(shape.code);
            return (
              <a
                key={shape.code}
                href={href(shape.code)}
                aria-current={chosen === shape.code ? "true" : undefined}
                onPointerEnter={point}
                onFocus={point}
              >
                <path d={shape.path} class={pathClass(area, chosen === shape.code)}>
                  {area && <title>{area.about}</title>}
                </path>
                <text x={shape.at[0]} y={shape.at[1]}>
                  {names[shape.code]}
                </text>
                {area && (
                  <text x={shape.at[0]} y={shape.at[1] + 15} class="n">
                    {area.label}
                  </text>
                )}
              </a>
            );
          })}
      </svg>
      <figcaption>
        <span>{areas[pointed || chosen]?.about ?? t("map.point")}</span> <small>{t("map.sketch")}</small>
      </figcaption>
    </figure>
  );
}

function pathClass(area: Area | undefined, chosen: boolean): string {
  const colour = area?.tone ?? (area?.step === undefined ? "" : `step s${area.step}`);
  return [colour, area?.indicative ? "dashed" : "", chosen ? "chosen" : ""].filter(Boolean).join(" ");
}
