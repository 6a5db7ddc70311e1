-- Inbox: what a consumer has received. The row is written in the local transaction of the effect, and its primary key is where
-- two deliveries of one message meet and wait for each other.
create table txn.inbox (
  consumer      text        not null check (length(consumer) between 1 and 200),
  source        text        not null check (length(source) <= 200),
  message_id    text        not null check (length(message_id) between 1 and 200),
  content_hash  bytea       not null,
  -- What the handler answered. json, not jsonb: a repeated answer is the first one to the byte
  outcome       json,
  received_at   timestamptz not null default clock_timestamp(),
  primary key (consumer, source, message_id)
);

create index inbox_received_at on txn.inbox (received_at);

-- Event store. The row of a stream stays locked until its appender's transaction ends, so versions have no gap, and whoever sees
-- a version can see all before it.
create table txn.stream (
  name     text     primary key check (length(name) between 1 and 200),
  version  integer  not null
);

alter table txn.stream set (fillfactor = 80);

create table txn.event (
  stream          text        not null,
  version         integer     not null check (version >= 1),
  id              text        not null check (length(id) between 1 and 200),
  type            text        not null check (length(type) between 1 and 200),
  -- Of the form that the data has: readers bring older ones up to date.
  revision        integer     not null default 1 check (revision >= 1),
  -- json, not jsonb: what is read is what was appended, to the byte
  data            json        not null,
  metadata        json,
  -- The branch that appended it, if one did.
  transaction_id  text,
  branch_id       text,
  -- Never before that of the version before it, so what a stream was at some time is always its first events.
  created_at      timestamptz not null,
  -- In which order they are numbered. Nobody may read by it: it is given before the commit, and rows appear behind the reader.
  appended        bigint      not null generated always as identity,
  -- The place among all events, given after the commit by txn.number_events.
  position        bigint,
  primary key (stream, version),
  constraint event_id unique (id)
);

create unique index event_position on txn.event (position) where position is not null;
create unique index event_unnumbered on txn.event (appended) where position is null;

create function txn.refuse_to_change_event() returns trigger language plpgsql as $$
begin
  raise 'event %/% was not changed: what has happened stays. Append an event that corrects it.', old.stream, old.version
    using errcode = 'restrict_violation';
end $$;

create trigger event_never_changes
  before update of stream, version, id, type, revision, data, metadata, transaction_id, branch_id, created_at on txn.event
  for each row execute function txn.refuse_to_change_event();

-- Appends events to a stream in the transaction that it is called in, all or none.
--
-- `expected`: the version that the stream has to have, 0 where there must be none, null for any. `events`: a list of objects with
-- type, data, and as one likes id (a UUID by default), revision, metadata, transaction_id, branch_id.
--
-- Answers with an object that has an outcome, and raises nothing where the transaction can go on:
--   appended  they are in the stream now, from version `first` to `last`
--   stored    they have been in the stream, from `first` to `last`: an append that was repeated. Whatever version is expected
--   version   nothing was appended: the stream has the version `actual`
--   id        nothing was appended: of the events that have the ids of these, `found` says where they are, and `reason` what is
--             wrong with it: another stream, another content, or not the same events in the same order
create function txn.try_append_to_stream(stream_name text, expected integer, events json) returns json
language plpgsql volatile as $$
declare
  given    constant integer := json_array_length(events);
  actual   integer;
  stored   record;
  at       timestamptz;
begin
  if stream_name is null or given is null or given < 1 or expected < 0 then
    raise 'nothing was appended: a stream, at least one event and no negative version are needed' using errcode = 'invalid_parameter_value';
  end if;

  -- In plpgsql every statement sees what was committed before it began, so those below see all that the holder of this lock did.
  -- One statement that locks and looks would look at what was there before it waited.
  select version into actual from txn.stream where name = stream_name for update;
  if not found then
    insert into txn.stream (name, version) values (stream_name, 0) on conflict (name) do nothing;
    select version into actual from txn.stream where name = stream_name for update;
  end if;

  -- Before the version is looked at: a repeated append finds its events also where the version would let it append them again.
  select count(*) as found,
         coalesce(bool_and(e.stream = stream_name), true) as same_stream,
         coalesce(bool_and(e.type = g.type and (e.revision <> coalesce(g.revision, 1) or e.data::text = g.data::text)), true) as same_content,
         min(e.version - g.ordinality) = max(e.version - g.ordinality) as same_order,
         min(e.version) as first, max(e.version) as last,
         json_agg(json_build_object('id', e.id, 'stream', e.stream, 'version', e.version) order by g.ordinality) as places
    into stored
    from rows from (json_to_recordset(events) as (id text, type text, revision integer, data json)) with ordinality as g
    join txn.event e on e.id = g.id;
  if stored.found > 0 then
    if not stored.same_stream then
      return json_build_object('outcome', 'id', 'reason', 'another stream', 'found', stored.places);
    elsif stored.found < given or not stored.same_order then
      return json_build_object('outcome', 'id', 'reason', 'another list', 'found', stored.places);
    elsif not stored.same_content then
      return json_build_object('outcome', 'id', 'reason', 'another content', 'found', stored.places);
    end if;
    return json_build_object('outcome', 'stored', 'first', stored.first, 'last', stored.last);
  end if;

  if actual <> expected then
    return json_build_object('outcome', 'version', 'actual', actual);
  end if;

  select greatest(date_trunc('milliseconds', clock_timestamp()), (select created_at from txn.event where stream = stream_name and version = actual)) into at;
  insert into txn.event (stream, version, id, type, revision, data, metadata, transaction_id, branch_id, created_at)
  select stream_name, actual + ordinality, coalesce(id, gen_random_uuid()::text), type, coalesce(revision, 1), data, metadata,
         transaction_id, branch_id, at
    from rows from (json_to_recordset(events) as (
           id text, type text, revision integer, data json, metadata json, transaction_id text, branch_id text)) with ordinality as e
   order by ordinality;
  update txn.stream set version = actual + given where name = stream_name;
  return json_build_object('outcome', 'appended', 'first', actual + 1, 'last', actual + given);
end $$;

-- The same for services in other languages: it answers with the version of the last event, and raises where nothing is appended.
--
--   select txn.append_to_stream('account-1', 2, '[{"id": "d-17", "type": "Deposited", "data": {"amount": 100}}]');
--
-- SQLSTATE TXN01: the stream has another version. TXN02: an id is that of another event. The answer is in the error's detail.
create function txn.append_to_stream(stream_name text, expected integer, events json) returns integer
language plpgsql volatile as $$
declare
  answer constant json := txn.try_append_to_stream(stream_name, expected, events);
begin
  case answer ->> 'outcome'
    when 'version' then
      raise 'nothing was appended: stream % has version %, not %', stream_name, answer ->> 'actual', expected
        using errcode = 'TXN01', detail = answer;
    when 'id' then
      raise 'nothing was appended to stream %: an id is in use for %', stream_name, answer ->> 'reason'
        using errcode = 'TXN02', detail = answer;
    else
      return (answer ->> 'last')::integer;
  end case;
end $$;

-- The last position that was given. Its row is locked while positions are given, so they are committed in their order.
create table txn.event_counter (
  one_row   boolean  primary key default true check (one_row),
  position  bigint   not null,
  -- The highest `appended` that has a position.
  appended  bigint   not null
);

insert into txn.event_counter (position, appended) values (0, 0);

alter table txn.event_counter set (fillfactor = 10);

-- Gives at most so many committed events their position. Readers call it before they read:
--
--   call txn.number_events(1000);
--
-- It ends its own transaction, and so refuses to run in one of the caller's: while that was open, or prepared, nobody could
-- number. Not `everything`: it looks only at what was appended lately, for readers that call it often and look at everything now
-- and then. What is dead in the index stays there while a prepared transaction keeps vacuum away, and is much after an hour.
create procedure txn.number_events(most integer, everything boolean default true)
language plpgsql as $$
declare
  counter   txn.event_counter;
  given     record;
  previous  record;
  since     bigint := 0;
  numbered  integer := 0;
begin
  commit;
  set transaction isolation level read committed;
  set local lock_timeout = '2s';
  -- By the index, whatever the statistics say: they may be of a moment when the table was empty, or every event had a position.
  -- For the same reason each event is looked up by its key below, and there is no join.
  set local enable_seqscan = off;
  set local enable_bitmapscan = off;
  set local enable_sort = off;

  if not everything then
    select appended - 10000 from txn.event_counter into since;
  end if;
  if not exists (select from txn.event where position is null and appended > since) then
    return;
  end if;

  -- The statements after it see all that was committed until the lock was granted.
  select * into counter from txn.event_counter for update;
  <<look>>
  loop
    for given in
      select stream, version, appended from txn.event
       where position is null and appended > since
       order by appended
       limit most - numbered
    loop
      -- What comes before it in its stream may have committed late, and lie before this look.
      if since > 0 then
        select position into previous from txn.event where stream = given.stream and version = given.version - 1;
        if found and previous.position is null then
          since := 0;
          continue look;
        end if;
      end if;
      numbered := numbered + 1;
      update txn.event set position = counter.position + numbered where stream = given.stream and version = given.version;
      counter.appended := greatest(counter.appended, given.appended);
    end loop;
    exit look;
  end loop;
  update txn.event_counter set position = counter.position + numbered, appended = counter.appended where numbered > 0;
  commit;
end $$;

-- How far projections are. The row is locked while one is applied, and written in the transaction of the effect.
create table txn.projection (
  name        text        primary key check (length(name) between 1 and 200),
  -- All events up to here are in the tables of the projection.
  position    bigint      not null default 0,
  updated_at  timestamptz not null default clock_timestamp(),
  -- The event at which it stopped, and why.
  stopped_at_position bigint,
  stopped_at_event    text,
  error       text,
  stopped_at  timestamptz
);

-- States of streams at some version, as certain code computes them: a mere cache.
create table txn.snapshot (
  stream      text        not null,
  code        text        not null check (length(code) between 1 and 200),
  version     integer     not null,
  state       json        not null,
  created_at  timestamptz not null default clock_timestamp(),
  primary key (stream, code)
);
