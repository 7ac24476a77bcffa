// The bodies that answer for a measure, each leading to its page.
import { Fragment, type JSX } from "preact";
import type { Measure } from "../api/schema";
import { localized, t } from "../texts/language";
import { linkTo } from "./address";
import type { View } from "./view";

export function LeadBodies({ view, measure }: { view: View; measure: Measure }): JSX.Element {
  return (
    <>
      {measure.lead.map((body, index) => (
        <Fragment key={body}>
          {index > 0 && t("list.comma")}
          <a href={linkTo(view.address, "body", body)}>{localized(view.plan.bodies[body])}</a>
        </Fragment>
      ))}
    </>
  );
}
