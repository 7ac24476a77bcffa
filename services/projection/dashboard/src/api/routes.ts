// The routes of the API and what they answer, by the types that the build makes of openapi.json.
import type { paths } from "./schema";

interface JsonGet {
  get: { responses: { 200: { content: { "application/json": unknown } } } };
}
type Parameters<R extends Route> = paths[R]["get"]["parameters"];
type Names<P> = Extract<keyof NonNullable<P>, string>;

/** A route that answers JSON. */
export type Route = { [R in keyof paths]: paths[R] extends JsonGet ? R : never }[keyof paths];
export type Answer<R extends Route> = paths[R]["get"]["responses"][200]["content"]["application/json"];
/** What fills a route's path and query; whether a value is a good one is for the API to say. */
export type Values<R extends Route> = Record<Names<Parameters<R>["path"]>, string> & Partial<Record<Names<Parameters<R>["query"]>, string>>;

/** The address of an answer of type T, relative to the page. */
export type Path<T> = string & { readonly answer?: T };

/** A route filled in; values that its path does not name become the query. */
export function pathOf<R extends Route>(route: R, values: Values<R>): Path<Answer<R>> {
  const query = new URLSearchParams(values as Record<string, string>);
  const path = route.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = query.get(name) ?? "";
    query.delete(name);
    return encodeURIComponent(value);
  });
  return `.${path}${query.size ? `?${query}` : ""}`;
}
