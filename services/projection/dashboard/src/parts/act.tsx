// An act of an office in the browser: fields, who acts, a button; what is wrong is said beside the field it is about.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api/client";
import { type Speaker, speaker } from "../api/office";
import { refetchAll } from "../api/queries";
import type { Receipt } from "../api/tables";
import { localized, t } from "../texts/language";
import { newId } from "./drafts";
import { Sentence } from "./states";
import "./office.css";

const NAME_KEY = "skillplan-by";
const LONGEST = 200;

export interface FieldOf {
  name: string;
  label: string;
  long?: boolean;
  optional?: boolean;
  value?: string;
}

interface Props {
  fields: FieldOf[];
  button: string;
  /** Does it and returns the receipt; throws Problem. `id`: the same until it was decided. */
  act: (values: Record<string, string>, by: Speaker, id: string) => Promise<Receipt>;
  onDone?: () => void;
  children?: ComponentChildren;
}

type Faults = Record<string, string>;

const ACCEPTED = ["accepted", "waiting", "duplicate"];

/** The reasons of a receipt by the field they are about; what is about none stands under an empty name. */
function faultsOf({ reasons = [] }: Receipt, fields: FieldOf[]): Faults {
  const faults: Faults = {};
  for (const reason of reasons) {
    const name = reason.pointer?.split("/")[2] ?? "";
    const field = fields.some((each) => each.name === name) ? name : "";
    faults[field] = [faults[field], localized(reason)].filter(Boolean).join(" ");
  }
  return faults;
}

export function Act({ fields, button, act, onDone, children }: Props): JSX.Element {
  const [by, setBy] = useState<Speaker | null>(null);
  const [values, setValues] = useState<Record<string, string>>(() => Object.fromEntries(fields.map(({ name, value = "" }) => [name, value])));
  const [faults, setFaults] = useState<Faults>({});
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const id = useRef(newId());
  useEffect(() => {
    void speaker().then((who) => {
      setBy(who);
      setValues((before) => ({ ...before, by: who.name || localStorage.getItem(NAME_KEY) || "" }));
    });
  }, []);
  const all: FieldOf[] = [...fields, { name: "by", label: t("act.by") }];
  const set = (name: string, value: string): void => {
    setDone(false);
    setValues((before) => ({ ...before, [name]: value.replace(/\s*\n\s*/g, " ") })); // a text of the contract is one line
  };
  const submit = async (): Promise<void> => {
    if (!by || busy) return;
    const empty = all.filter(({ name, optional }) => !optional && !values[name]?.trim());
    setFaults(Object.fromEntries(empty.map(({ name }) => [name, t("act.empty")])));
    if (empty.length) return;
    setBusy(true);
    try {
      const receipt = await act(values, by, id.current);
      id.current = newId();
      if (ACCEPTED.includes(receipt.status)) {
        if (!by.name) localStorage.setItem(NAME_KEY, values["by"] ?? "");
        setDone(true);
        refetchAll();
        onDone?.();
      } else setFaults(faultsOf(receipt, all));
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0);
      setFaults({ "": problem.text ? localized(problem.text) : t(problem.status ? "act.failed" : "state.offline") });
    }
    setBusy(false);
  };
  return (
    <form
      class="act"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {children}
      {all.map((field) => (
        <Field key={field.name} field={field} value={values[field.name] ?? ""} fault={faults[field.name]} fixed={field.name === "by" && Boolean(by?.name)} onInput={(value) => set(field.name, value)} />
      ))}
      {faults[""] && <Sentence problem={faults[""]} />}
      <p class="acts">
        <button type="submit" class="main" disabled={busy || !by}>
          {button}
        </button>
        {done && <span role="status">{t("act.done")}</span>}
      </p>
    </form>
  );
}

interface FieldProps {
  field: FieldOf;
  value: string;
  fault: string | undefined;
  fixed: boolean;
  onInput: (value: string) => void;
}

function Field({ field, value, fault, fixed, onInput }: FieldProps): JSX.Element {
  const told = `fault-${field.name}`;
  const shared = { name: field.name, value, "aria-invalid": Boolean(fault), ...(fault ? { "aria-describedby": told } : {}) };
  return (
    <div class={`field${fault ? " faulty" : ""}`}>
      <label>
        <span>
          {field.label} {field.long && <small>{t("act.length", { count: [...value].length, most: LONGEST })}</small>}
        </span>
        {field.long ? (
          <textarea rows={3} {...shared} onInput={({ currentTarget }) => onInput(currentTarget.value)} />
        ) : (
          <input autocomplete="off" readOnly={fixed} {...shared} onInput={({ currentTarget }) => onInput(currentTarget.value)} />
        )}
      </label>
      {fault && (
        <p class="fault" id={told} role="alert">
          {fault}
        </p>
      )}
    </div>
  );
}
