-- name: seed
-- Facts, receipts and keys as the recruitment service records them for hires, $1 of them after the head; by whoever
-- owns the tables.
with head as (
    select position, receipts, greatest(recorded_at, '2024-01-01') as at from log_head
), made as (
    select position + n as position, receipts + n as number, at + n * interval '1 microsecond' as recorded_at,
        'seed-' || (position + n) as id, md5('person' || (position + n)) as token, gen_random_uuid() as fact_id,
        ($2::text[])[1 + n % cardinality($2::text[])] as district,
        ($3::text[])[1 + n % cardinality($3::text[])] as credit_code,
        date '2023-01-02' + (n % 700)::int as day
    from head, generate_series(1, $1::bigint) as n
), shown as (
    select made.*, '/districts/' || district || '/hr' as source,
        to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as instant
    from made
), facts as (
    insert into fact (position, stream, version, id, report_source, report_id, tags, recorded_at, bytes, sha256)
    select position, 'hire/' || id, 1, fact_id, source, id, array['hire-of:' || token || ':' || credit_code],
        recorded_at, bytes, sha256(bytes)
    from shown, convert_to(format(
        '{"specversion":"1.0","id":"%s","source":"/services/recruitment","type":"skillplan.recruitment.person-hired.v1",'
        '"subject":"hire/%s","time":"%sT09:30:00+08:00","district":"%s","position":%s,"version":1,"recordedat":"%s",'
        '"reportsource":"%s","reportid":"%s","correlationid":"%s","causationid":"%s",'
        '"datacontenttype":"application/json","data":{"person":{"token":"%s","sealed":"%s"},'
        '"enterprise":{"credit_code":"%s","name":"样本机构 Sample"},"channel":"gold-blue-collar",'
        '"occupation_code":"6-18-01-01","level":"3","hired_on":"%s"}}',
        fact_id, id, day, district, position, instant, source, id, fact_id, id, token, repeat(token, 5), credit_code, day
    ), 'UTF8') as bytes
), receipts as (
    insert into receipt (number, source, id, decision, digest, district, bytes)
    select number, source, id, 1, sha256(id::bytea), district, convert_to(format(
        '{"source":"%s","id":"%s","type":"skillplan.recruitment.person-hired.v1","subject":"hire/%s","district":"%s",'
        '"service":"recruitment","status":"accepted","reasons":[],"flags":[],"received_at":"%s","decided_at":"%s",'
        '"position":%s,"stream":"hire/%s","version":1}',
        source, id, id, district, instant, instant, position, id
    ), 'UTF8')
    from shown
), keys as (
    insert into person_key select token, '\x00'::bytea from made
)
update log_head set position = position + $1, receipts = receipts + $1,
    recorded_at = (select at from head) + ($1 + 1) * interval '1 microsecond'
