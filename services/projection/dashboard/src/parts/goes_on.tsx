// What may follow a report that stands: its correction, its retraction, and the types that go on from its own.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { FORM_NAMES } from "../api/forms";
import { cachedAnswer, useQuery } from "../api/queries";
import { localized, t } from "../texts/language";
import { type Address, linkTo } from "./address";

interface Props {
  address: Address;
  type: string | null | undefined;
  subject: string | null | undefined;
  source: string;
  id: string | null | undefined;
}

/** Links to forms begun from a report; none where no gateway offers forms. */
export function GoesOn({ address, type, subject, source, id }: Props): JSX.Element | null {
  const [wanted, setWanted] = useState(() => cachedAnswer(FORM_NAMES) !== undefined); // asked for once, not for every reader
  const { data, problem } = useQuery(wanted ? FORM_NAMES : null, true);
  if (!type || !subject || !id) return null;
  if (!wanted) {
    return (
      <p class="goes-on">
        <button type="button" onClick={() => setWanted(true)}>
          {t("forms.goes_on")}
        </button>
      </p>
    );
  }
  if (problem) return <p class="hint">{t("state.no_page")}</p>;
  const forms = data?.forms ?? [];
  if (!forms.some((form) => form.type === type)) return null;
  const begun = (next: string, corrects = ""): string => linkTo(address, "forms", "", { type: next, subject, source, report: id, corrects });
  const retraction = `skillplan.${type.split(".")[1]}.report-retracted.v1`;
  if (type === retraction) return null;
  return (
    <p class="goes-on">
      <a href={begun(type, id)}>{t("tables.correct")}</a>
      <a href={begun(retraction)}>{t("tables.retract")}</a>
      {forms.filter(({ follows }) => follows.includes(type)).map((form) => (
        <a key={form.type} href={begun(form.type)}>
          {localized(form.name)}
        </a>
      ))}
    </p>
  );
}
