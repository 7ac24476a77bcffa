// Facts that others reported, where the key may not see them: how many a day and a type.
import type { JSX } from "preact";
import type { FactCount } from "../api/schema";
import { day, number } from "../texts/format";
import { t } from "../texts/language";
import { typeName } from "../texts/names";

export function Others({ counts }: { counts: FactCount[] | null }): JSX.Element | null {
  if (counts === null) return <p class="hint">{t("others.figures_only")}</p>;
  if (!counts.length) return null;
  return (
    <details>
      <summary>{t("others.count", { count: number(counts.reduce((sum, { count }) => sum + count, 0)) })}</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("others.title")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("others.day")}</th>
              <th scope="col">{t("facts.what")}</th>
              <th scope="col" class="n">{t("others.facts")}</th>
            </tr>
          </thead>
          <tbody>
            {counts.map((row) => (
              <tr key={`${row.day} ${row.type}`}>
                <td class="keep">{day(row.day)}</td>
                <td>{typeName(row.type)}</td>
                <td class="n">{number(row.count)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
