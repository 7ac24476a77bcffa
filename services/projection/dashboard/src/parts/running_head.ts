// The head of every sheet of paper and its number, in the margins of the page.

// A browser from before 2023 prints without them.
const MARGINS = "adoptedStyleSheets" in document ? new CSSStyleSheet() : null;

/** A text as a string of CSS, which no sign of it ends. */
function quoted(text: string): string {
  return `"${text.replace(/["\\\n\r\f]/g, (sign) => `\\${sign.charCodeAt(0).toString(16)} `)}"`;
}

/** Set what stands at the head of every sheet. */
export function setRunningHead(text: string): void {
  if (!MARGINS) return;
  if (!document.adoptedStyleSheets.includes(MARGINS)) document.adoptedStyleSheets = [...document.adoptedStyleSheets, MARGINS];
  const font = "font: 8pt sans-serif; color: #444";
  MARGINS.replaceSync(`@page { @top-left { content: ${quoted(text)}; ${font} } @bottom-center { content: "— " counter(page) " —"; ${font} } }`);
}
