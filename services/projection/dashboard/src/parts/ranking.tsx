// The districts side by side on one indicator: a table and the map.
import type { JSX } from "preact";
import type { DistrictRanking, RankedDistrict } from "../api/schema";
import { achieved, DASH, percent, signed, targetText } from "../texts/format";
import { localized, t } from "../texts/language";
import { useQuery } from "../api/queries";
import { AchievementMap } from "./achievement";
import { linkTo, withParams } from "./address";
import { Parts } from "./figures";
import { SignalPill } from "./signals";
import { Loaded } from "./states";
import { matrixPath, type View } from "./view";

export function RankingTable({ view, ranking, unit }: { view: View; ranking: DistrictRanking; unit: string }): JSX.Element {
  const { address } = view;
  const matrix = useQuery(matrixPath(view));
  const rows = ranking.districts;
  const largest = Math.max(...rows.map((row) => row.value ?? 0), 0) || 1;
  const withTargets = rows.some((row) => row.target);
  return (
    <div class="two ranking">
      <div class="scroll wide" tabIndex={0} role="region" aria-label={t("ranking.title")}>
        <table>
          <thead>
            <tr>
              <th scope="col" class="n">{t("ranking.rank")}</th>
              <th scope="col">{t("asked.district")}</th>
              <th scope="col" class="n">{t("value.now")}</th>
              <th scope="col" class="bar">
                <span class="unseen">{t("ranking.bar")}</span>
              </th>
              <th scope="col" class="n">{t("ranking.share")}</th>
              <th scope="col" class="n">{t("ranking.change")}</th>
              {withTargets && <th scope="col">{t("value.target")}</th>}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.code} aria-current={row.code === address.params["district"] ? "true" : undefined}>
                <td class="n">{row.rank ?? DASH}</td>
                <th scope="row">
                  <a href={linkTo(address, "district", row.code)}>{localized(row.name)}</a>
                </th>
                <td class="n">
                  <b>{achieved(row, unit)}</b>
                  {row.denominator !== null && row.value !== null && <Parts period={row} />}
                </td>
                <td class="bar" aria-hidden="true">
                  <i style={{ width: `${(Math.max(row.value ?? 0, 0) / largest) * 100}%` }} />
                </td>
                <td class="n">{percent(row.share_of_whole)}</td>
                <td class="n">
                  <Change row={row} unit={unit} />
                </td>
                {withTargets && (
                  <td>
                    {row.target && targetText(row.target, unit)} {row.signal !== "none" && <SignalPill signal={row.signal} />}
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div>
        <Loaded query={matrix}>
          {(data) => (
            <AchievementMap
              view={view}
              matrix={data}
              by={ranking.indicator.id}
              chosen={address.params["district"] ?? ""}
              href={(code) => withParams(address, { district: code === address.params["district"] ? "" : code })}
            />
          )}
        </Loaded>
      </div>
    </div>
  );
}

function Change({ row, unit }: { row: RankedDistrict; unit: string }): JSX.Element {
  const { value, rank } = row.change;
  return (
    <>
      {value === null ? DASH : signed(value, unit)}
      {rank ? <small> {rank > 0 ? t("ranking.up", { count: rank }) : t("ranking.down", { count: -rank })}</small> : null}
    </>
  );
}
