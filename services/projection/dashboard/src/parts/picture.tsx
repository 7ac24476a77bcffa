// A chart to take away: the drawing on the page as an SVG file of its own, with its title and what its numbers are as of.
import type { ComponentChildren, JSX } from "preact";
import { useRef } from "preact/hooks";
import { saveBlob } from "../api/client";
import { day, exampleText, instant } from "../texts/format";
import { localized, t } from "../texts/language";
import type { View } from "./view";

const SVG = "http://www.w3.org/2000/svg";
const HEAD = 52;
const MARGIN = 12;
// What the style sheet of the page says of a drawing; a file of its own has none.
const STYLES = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "paint-order",
  "font-family", "font-size", "font-weight", "text-anchor", "dominant-baseline",
];

function drawn(name: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value));
  element.textContent = text;
  return element;
}

/** The drawing with its styles written into it, under two lines of text. */
function standalone(svg: SVGSVGElement, title: string, about: string): string {
  const { width, height } = svg.getBoundingClientRect();
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const copied = [copy, ...copy.querySelectorAll("*")];
  [svg, ...svg.querySelectorAll("*")].forEach((element, at) => {
    const style = getComputedStyle(element);
    for (const name of STYLES) copied[at]!.setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "style", "href", "tabindex"]) copied[at]!.removeAttribute(name);
  });
  if (!copy.hasAttribute("viewBox")) copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const [name, value] of Object.entries({ x: MARGIN, y: HEAD, width, height })) copy.setAttribute(name, String(value));
  const { backgroundColor, color, fontFamily } = getComputedStyle(svg.closest(".card") ?? document.body);
  const [wide, high] = [width + 2 * MARGIN, height + HEAD + MARGIN];
  const whole = drawn("svg", { width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, "font-family": fontFamily, fill: color });
  whole.append(
    drawn("rect", { width: wide, height: high, fill: backgroundColor }),
    drawn("text", { x: MARGIN, y: 22, "font-size": 15, "font-weight": 600 }, title),
    drawn("text", { x: MARGIN, y: 40, "font-size": 11 }, about),
    copy,
  );
  return new XMLSerializer().serializeToString(whole);
}

interface Props {
  view: View;
  name: string;
  title: string;
  children: ComponentChildren;
}

/** A drawing, and under it the button that saves it. */
export function Picture({ view, name, title, children }: Props): JSX.Element {
  const holder = useRef<HTMLDivElement>(null);
  const save = (): void => {
    const svg = holder.current?.querySelector<SVGSVGElement>(".map svg, .chart svg");
    if (!svg) return;
    const { plan, asOf, address } = view;
    const known = address.params["known_at"];
    const about = [
      localized(plan.title),
      t("facts.as_of", { day: day(asOf) }),
      known ? t("picture.known", { at: instant(known) }) : "",
      exampleText(),
    ];
    const text = standalone(svg, title, about.filter(Boolean).join(" · "));
    saveBlob(new Blob([text], { type: "image/svg+xml" }), `${[plan.id, name, asOf].join("-")}.svg`);
  };
  return (
    <div ref={holder}>
      {children}
      <p class="take">
        <button type="button" onClick={save}>
          {t("picture.save")}
        </button>
      </p>
    </div>
  );
}
