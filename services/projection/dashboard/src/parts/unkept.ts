// What is typed stays on the page: a browser would keep it among its suggestions and with its open tabs, on disk.
import { options } from "preact";

const FIELDS = new Set<unknown>(["form", "input", "select", "textarea"]);

/** Have every field that is drawn from now on, a library's too, kept out of what the browser remembers. */
export function keepNothingTyped(): void {
  const before = options.vnode;
  options.vnode = (vnode): void => {
    if (FIELDS.has(vnode.type)) Object.assign(vnode.props, { autocomplete: "off" });
    before?.(vnode);
  };
}
