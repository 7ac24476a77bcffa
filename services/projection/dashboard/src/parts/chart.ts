// The chart library: only the parts that the trend needs, loaded when a page has one.
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { type ECharts, type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, LineChart, GridComponent, LegendComponent, TooltipComponent, SVGRenderer]);

export interface Chart {
  set(option: EChartsCoreOption): void;
  dispose(): void;
}

/** Draw to scale, so that paper may be narrower than the screen. */
function setViewBox(chart: ECharts): void {
  chart.getDom().querySelector("svg")?.setAttribute("viewBox", `0 0 ${chart.getWidth()} ${chart.getHeight()}`);
}

export function createChart(element: HTMLElement, animated: boolean): Chart {
  const chart = init(element, null, { renderer: "svg" });
  let first = true;
  chart.on("rendered", () => setViewBox(chart));
  const observer = new ResizeObserver(() => chart.resize());
  observer.observe(element);
  return {
    // Animated once; later changes are drawn at once.
    set: (option) => {
      chart.setOption({ animation: animated && first, ...option }, { notMerge: true });
      chart.getZr().flush(); // on paper nothing is drawn a moment later
      first = false;
    },
    dispose: () => {
      observer.disconnect();
      chart.dispose();
    },
  };
}
