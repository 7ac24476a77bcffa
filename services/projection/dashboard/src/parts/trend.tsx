// The chart of an indicator's months: each month a bar, the sum a line, with the expected course and the forecast.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { CellMonth, CellMonths } from "../api/schema";
import { amount, DASH, expectedText, month, number, reached } from "../texts/format";
import { type Key, localized, t } from "../texts/language";
import { periodName } from "../texts/names";
import type { Chart } from "./chart";
import { Picture } from "./picture";
import { SignalPill } from "./signals";
import { applyTheme } from "./theme";
import type { View } from "./view";

const LEGEND: Key[] = ["trend.month", "trend.level", "trend.cumulative", "value.expected", "value.target", "trend.forecast"];
/** Below this width the legend takes two lines. */
const NARROW = 560;
/** Money is drawn in yuan: fen would make the axis unreadable. */
const FEN = 100;

function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Draw anew in the light colours of paper while the page is printed; returns what ends that. */
function drawnForPaper(draw: () => void): () => void {
  const print = (): void => {
    document.documentElement.dataset["theme"] = "light";
    draw();
  };
  const shown = (): void => {
    applyTheme();
    draw();
  };
  addEventListener("beforeprint", print);
  addEventListener("afterprint", shown);
  return () => {
    removeEventListener("beforeprint", print);
    removeEventListener("afterprint", shown);
  };
}

/** The months after `last` (YYYY-MM) up to the one of the day `end`. */
function monthsUntil(last: string, end: string): string[] {
  const names: string[] = [];
  let [year, ordinal] = last.split("-").map(Number) as [number, number];
  const stop = end.slice(0, 7);
  for (;;) {
    [year, ordinal] = ordinal === 12 ? [year + 1, 1] : [year, ordinal + 1];
    const name = `${year}-${String(ordinal).padStart(2, "0")}`;
    if (name > stop) return names;
    names.push(name);
  }
}

function chartOption(data: CellMonths): Record<string, unknown> {
  const { months, indicator, pace, target } = data;
  const scale = indicator.unit === "fen" ? FEN : 1;
  const scaled = (value: number | null): number | null => (value === null ? null : value / scale);
  const last = months.at(-1);
  const ahead = last && data.to ? monthsUntil(last.month, data.to) : [];
  const names = [...months.map((row) => row.month), ...ahead];
  const forecast = pace?.forecast;
  const hasForecast = Boolean(forecast && forecast.value !== null && ahead.length && last?.cumulative !== null);
  const extended = (value: number | null): (number | null)[] => [
    ...months.slice(0, -1).map(() => null),
    scaled(last?.cumulative ?? null),
    ...ahead.slice(0, -1).map(() => null),
    scaled(value),
  ];
  const [ink, soft, line, accent, amber] = ["--ink", "--soft", "--line", "--accent", "--amber"].map(cssColour) as [string, string, string, string, string];
  const accentSoft = cssColour("--accent-soft");
  const valueText = (value: unknown): string => (typeof value === "number" ? reached(value * scale, indicator.unit) : DASH);
  const dueText = (value: unknown): string =>
    typeof value === "number" ? expectedText({ expected: value * scale, denominator: data.denominator }, indicator.unit) : DASH;
  const isLevel = indicator.basis === "level";
  return {
    grid: { left: 8, right: 14, top: innerWidth < NARROW ? 68 : 40, bottom: 4, containLabel: true },
    textStyle: { color: ink, fontFamily: "inherit" },
    legend: { data: LEGEND.map((key) => t(key)), top: 0, left: 0, textStyle: { color: soft }, itemWidth: 18, itemHeight: 8, itemGap: 16 },
    tooltip: {
      trigger: "axis",
      confine: true,
      backgroundColor: cssColour("--card"),
      borderColor: line,
      textStyle: { color: ink },
      valueFormatter: valueText,
    },
    xAxis: {
      type: "category",
      data: names,
      axisLine: { lineStyle: { color: line } },
      axisTick: { show: false },
      axisLabel: { color: soft, hideOverlap: true, formatter: month },
    },
    yAxis: {
      type: "value",
      axisLabel: { color: soft, formatter: (value: number) => number(value) },
      splitLine: { lineStyle: { color: line } },
    },
    series: [
      ...(isLevel
        ? []
        : [{ name: t("trend.month"), type: "bar", data: months.map((row) => scaled(row.value)), itemStyle: { color: accentSoft, borderColor: accent, borderRadius: [3, 3, 0, 0] }, barMaxWidth: 26 }]),
      {
        name: isLevel ? t("trend.level") : t("trend.cumulative"),
        type: "line",
        data: months.map((row) => scaled(row.cumulative)),
        symbolSize: 6,
        lineStyle: { width: 2.5, color: accent },
        itemStyle: { color: accent },
      },
      // A series of its own rather than a mark line, so that the axis reaches it however far it is.
      ...(target?.value != null
        ? [{ name: t("value.target"), type: "line", data: names.map(() => scaled(target.value)), symbol: "none", silent: true, lineStyle: { width: 1.5, color: ink }, itemStyle: { color: ink } }]
        : []),
      ...(months.some((row) => row.expected !== null)
        ? [{ name: t("value.expected"), type: "line", data: months.map((row) => scaled(row.expected)), tooltip: { valueFormatter: dueText }, symbol: "none", lineStyle: { width: 2, type: "dashed", color: amber }, itemStyle: { color: amber } }]
        : []),
      ...(hasForecast
        ? [
            { name: t("trend.forecast"), type: "line", data: extended(forecast!.value), connectNulls: true, symbol: "none", lineStyle: { width: 2, type: "dotted", color: accent }, itemStyle: { color: accent } },
            { name: t("trend.low"), type: "line", data: extended(forecast!.low), connectNulls: true, symbol: "none", lineStyle: { width: 1, type: "dotted", color: soft }, itemStyle: { color: soft } },
            { name: t("trend.high"), type: "line", data: extended(forecast!.high), connectNulls: true, symbol: "none", lineStyle: { width: 1, type: "dotted", color: soft }, itemStyle: { color: soft } },
          ]
        : []),
    ],
  };
}

export function Trend({ view, data }: { view: View; data: CellMonths }): JSX.Element {
  const container = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | undefined>(undefined);
  const [ready, setReady] = useState(false);
  useEffect(() => {
    let stopped = false;
    void import("./chart").then(({ createChart }) => {
      if (stopped || !container.current) return;
      chart.current = createChart(container.current, !matchMedia("(prefers-reduced-motion: reduce)").matches);
      setReady(true);
    });
    return () => {
      stopped = true;
      chart.current?.dispose();
    };
  }, []);
  // Drawn again with every answer, language and theme.
  useEffect(() => {
    const draw = (): void => chart.current?.set(chartOption(data));
    draw();
    return drawnForPaper(draw);
  });
  const { id, name } = data.indicator;
  const place = view.plan.districts.find(({ code }) => code === data.district)?.name;
  return (
    <>
      <Picture view={view} name={`${id}-${data.period}`} title={[id, localized(name), localized(place), periodName(data.period)].filter(Boolean).join(" ")}>
        <div ref={container} class="chart" role="img" aria-label={t("trend.label")} data-ready={ready} />
      </Picture>
      <details class="table">
        <summary>{t("trend.table")}</summary>
        <MonthTable rows={data.months} unit={data.indicator.unit} isLevel={data.indicator.basis === "level"} />
      </details>
    </>
  );
}

function MonthTable({ rows, unit, isLevel }: { rows: CellMonth[]; unit: string; isLevel: boolean }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("trend.table")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("trend.name")}</th>
            {!isLevel && <th scope="col" class="n">{t("trend.month")}</th>}
            <th scope="col" class="n">{isLevel ? t("trend.level") : t("trend.cumulative")}</th>
            <th scope="col" class="n">{t("value.expected")}</th>
            <th scope="col">{t("value.signal")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.month}>
              <th scope="row">
                {month(row.month)}
                {!row.complete && <small> {t("trend.running")}</small>}
              </th>
              {!isLevel && <td class="n">{amount(row.value, unit)}</td>}
              <td class="n">{reached(row.cumulative, unit)}</td>
              <td class="n">{expectedText(row, unit)}</td>
              <td>{row.signal !== "none" && <SignalPill signal={row.signal} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
