-- The latest checkpoint that witnesses elsewhere have cosigned, with their lines; null where none has been.
alter table tree add column cosigned text;
