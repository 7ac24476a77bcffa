// The policy's own words, in its own language.
import type { JSX } from "preact";
import { language } from "../texts/language";

export function Clause({ text }: { text: string }): JSX.Element {
  return (
    <blockquote class="clause" {...(language() === "en" ? { lang: "zh-CN" } : {})}>
      {text}
    </blockquote>
  );
}
