// The chart library: only the parts that the trend needs, loaded when a page has one.
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, LineChart, GridComponent, LegendComponent, TooltipComponent, SVGRenderer]);

export interface Chart {
  set(option: EChartsCoreOption): void;
  dispose(): void;
}

export function createChart(element: HTMLElement, animated: boolean): Chart {
  const chart = init(element, null, { renderer: "svg" });
  let first = true;
  const observer = new ResizeObserver(() => chart.resize());
  observer.observe(element);
  return {
    // Animated once; later changes are drawn at once.
    set: (option) => {
      chart.setOption({ animation: animated && first, ...option }, { notMerge: true });
      first = false;
    },
    dispose: () => {
      observer.disconnect();
      chart.dispose();
    },
  };
}
