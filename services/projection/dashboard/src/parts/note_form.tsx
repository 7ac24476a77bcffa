// The form of a note: loaded when somebody writes one.
import type { JSX } from "preact";
import { tell } from "../api/office";
import type { CellNote, Plan } from "../api/schema";
import { t } from "../texts/language";
import { Act } from "./act";
import { cityCode } from "./view";

interface Props {
  plan: Plan;
  cell: { indicator: string; period: string; of: string };
  may: string[];
  note: CellNote | undefined;
  onDone: () => void;
}

export function NoteForm({ plan, cell, may, note, onDone }: Props): JSX.Element {
  const fields = [
    { name: "cause", label: t("notes.cause"), long: true, value: note?.cause ?? "" },
    { name: "next_step", label: t("notes.next"), long: true, value: note?.next_step ?? "" },
  ];
  // Who may write on all speaks for the city.
  const district = may.includes(cityCode(plan)) ? cityCode(plan) : cell.of;
  const subject = ["note", plan.id, cell.indicator, cell.period, cell.of].join("/");
  return (
    <Act
      fields={fields}
      button={t("notes.send")}
      act={(values, by, id) => tell(id, { type: "note-written", subject, district, data: { plan: plan.id, ...cell, ...values } }, by)}
      onDone={onDone}
    />
  );
}
