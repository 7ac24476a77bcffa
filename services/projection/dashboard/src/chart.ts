// Hides the chart library: only what the trend needs of it, loaded when a page shows one.
import { BarChart, CustomChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, LineChart, CustomChart, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent, SVGRenderer]);

export interface Drawn {
  set(option: EChartsCoreOption): void;
  end(): void;
}

export function draw(element: HTMLElement, moving: boolean): Drawn {
  const chart = init(element, null, { renderer: "svg" });
  const resized = new ResizeObserver(() => chart.resize());
  resized.observe(element);
  return {
    set: (option) => chart.setOption({ animation: moving, ...option }, { notMerge: true }),
    end: () => {
      resized.disconnect();
      chart.dispose();
    },
  };
}
