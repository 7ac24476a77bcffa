// Every district, with what became of its reports, beside the map.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { District } from "../api/schema";
import { linkTo } from "../parts/address";
import { DistrictMap } from "../parts/map";
import { ReportSummary } from "../parts/reports";
import { Loaded } from "../parts/states";
import type { View } from "../parts/view";
import { localized, t } from "../texts/language";

export function DistrictsPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  return (
    <>
      <header class="head">
        <h2>{t("map.title", { city: localized(plan.city) })}</h2>
      </header>
      <div class="two">
        <div class="tiles">
          {plan.districts.map((district) => (
            <Tile key={district.code} view={view} district={district} />
          ))}
        </div>
        <div class="card">
          <DistrictMap districts={plan.districts} chosen="" href={(code) => linkTo(address, "district", code)} />
        </div>
      </div>
    </>
  );
}

function Tile({ view, district }: { view: View; district: District }): JSX.Element {
  const receipts = useQuery(pathOf("/v1/districts/{district}/receipts", { district: district.code, limit: "1" }));
  return (
    <a class="card" href={linkTo(view.address, "district", district.code)}>
      <h3>{localized(district.name)}</h3>
      <Loaded query={receipts} lines={2}>{(data) => <ReportSummary receipts={data} />}</Loaded>
    </a>
  );
}
