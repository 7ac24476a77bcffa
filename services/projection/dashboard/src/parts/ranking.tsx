// The districts side by side on one indicator: a table and the map.
import type { JSX } from "preact";
import type { DistrictRanking, RankedDistrict } from "../api/schema";
import { achieved, DASH, percent, progressText, signed, targetText } from "../texts/format";
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
  const withTargets = rows.some((row) => row.target);
  // What they are ranked by: the share of the target, the value where there is none.
  const size = (row: RankedDistrict): number => Math.max((withTargets ? row.progress : row.value) ?? 0, 0);
  const largest = Math.max(...rows.map(size), 0) || 1;
  return (
    <div class="two ranking">
      <div class="scroll wide" tabIndex={0} role="region" aria-label={t("ranking.title")}>
        <table class="cards-on-phone">
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
              {withTargets && <th scope="col" class="n">{t("value.progress")}</th>}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.code} aria-current={row.code === address.params["district"] ? "true" : undefined}>
                <td class="n" data-name={t("ranking.rank")}>{row.rank ?? DASH}</td>
                <th scope="row">
                  <a href={linkTo(address, "district", row.code)}>{localized(row.name)}</a>
                </th>
                <td class="n" data-name={t("value.now")}>
                  <b>{achieved(row, unit)}</b>
                  {row.denominator !== null && row.value !== null && <Parts period={row} />}
                </td>
                <td class="bar" aria-hidden="true">
                  <i style={{ width: `${(size(row) / largest) * 100}%` }} />
                </td>
                <td class="n" data-name={t("ranking.share")}>{percent(row.share_of_whole)}</td>
                <td class="n" data-name={t("ranking.change")}>
                  <Change row={row} unit={unit} />
                </td>
                {withTargets && (
                  <td data-name={t("value.target")}>
                    {row.target && targetText(row.target, unit)} {row.signal !== "none" && <SignalPill signal={row.signal} />}
                  </td>
                )}
                {withTargets && (
                  <td class="n" data-name={t("value.progress")}>
                    {progressText(row)}
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
