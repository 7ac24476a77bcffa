// The form that asks for a key where the API wants one.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { hasKey, Problem, signIn } from "../api/client";
import { t } from "../texts/language";
import { Brand } from "./header";
import { Sentence } from "./states";

const UNAUTHORIZED = 401;

export function KeyForm({ onDone }: { onDone: () => void }): JSX.Element {
  const [refused, setRefused] = useState(hasKey);
  const [problem, setProblem] = useState<Problem | null>(null);
  return (
    <main class="ask">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          setProblem(null);
          signIn(String(form.get("key")).trim(), form.has("keep")).then(onDone, (error: unknown) => {
            const failed = error instanceof Problem ? error : new Problem(0);
            setRefused(failed.status === UNAUTHORIZED);
            setProblem(failed.status === UNAUTHORIZED ? null : failed);
          });
        }}
      >
        <Brand />
        <h1>{t("key.title")}</h1>
        <p>{t("key.text")}</p>
        {refused && <p role="alert">{t("key.wrong")}</p>}
        {problem && <Sentence problem={problem} />}
        <label>
          <span>{t("key.label")}</span>
          <input name="key" type="password" required />
        </label>
        <label class="check">
          <input name="keep" type="checkbox" />
          <span>{t("key.keep")}</span>
        </label>
        <button type="submit">{t("key.use")}</button>
      </form>
    </main>
  );
}
