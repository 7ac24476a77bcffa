// Hides the chart library: only what the trend needs of it, loaded when a page shows one.
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, LineChart, GridComponent, LegendComponent, TooltipComponent, SVGRenderer]);

export interface Drawn {
  set(option: EChartsCoreOption): void;
  end(): void;
}

export function draw(element: HTMLElement, moving: boolean): Drawn {
  const chart = init(element, null, { renderer: "svg" });
  let first = true;
  const resized = new ResizeObserver(() => chart.resize());
  resized.observe(element);
  return {
    // It grows into view once; what moves later moves without a show.
    set: (option) => {
      chart.setOption({ animation: moving && first, ...option }, { notMerge: true });
      first = false;
    },
    end: () => {
      resized.disconnect();
      chart.dispose();
    },
  };
}
