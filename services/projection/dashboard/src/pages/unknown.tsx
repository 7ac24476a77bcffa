// An address of no page of ours: it says so, and leads back.
import type { JSX } from "preact";
import { linkTo } from "../parts/address";
import type { View } from "../parts/view";
import { t } from "../texts/language";

export function UnknownPage({ view }: { view: View }): JSX.Element {
  return (
    <div class="state note">
      <h2>{t("unknown.title")}</h2>
      <p>{t("unknown.text")}</p>
      <p>
        <a href={linkTo(view.address, "overview")}>{t("unknown.back")}</a>
      </p>
    </div>
  );
}
