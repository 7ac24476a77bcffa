// The form that asks for a key where the API wants one.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { hasKey, storeKey } from "../api/client";
import { t } from "../texts/language";
import { Brand } from "./header";

export function KeyForm({ onDone }: { onDone: () => void }): JSX.Element {
  const [refused] = useState(hasKey);
  return (
    <main class="ask">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          storeKey(String(new FormData(event.currentTarget).get("key")).trim());
          onDone();
        }}
      >
        <Brand />
        <h1>{t("key.title")}</h1>
        <p>{t("key.text")}</p>
        {refused && <p role="alert">{t("key.wrong")}</p>}
        <label>
          <span>{t("key.label")}</span>
          <input name="key" type="password" required autocomplete="off" />
        </label>
        <button type="submit">{t("key.use")}</button>
      </form>
    </main>
  );
}
