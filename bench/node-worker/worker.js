// worker.js: what people build today: a push worker in Node.js, with pg and
// @parse/node-apn, woken by LISTEN/NOTIFY.
//
//     node worker.js     settings come from the environment, see below
//
// Written to be as fast as such a worker can be: one set-based query a page,
// prepared; the next page is fetched while the one before is being sent; as
// many requests in flight as turned out best; outcomes written in batches, an
// array for each column, several batches at a time.  It keeps the order of
// things that a careful author would keep: an outcome is written after its
// answer, and what has none is sent again after a restart.
'use strict';

const { randomUUID } = require('crypto');
const fs = require('fs');
const path = require('path');
const { Client, Pool } = require('pg');
const apn = require('@parse/node-apn');

const env = process.env;
const PAGE = Number(env.PAGE || 1000);
const IN_FLIGHT = Number(env.IN_FLIGHT || 250);
const BATCH = Number(env.BATCH || 500);
const BATCH_DELAY_MS = 10;

const database = {
  host: env.PGHOST,
  port: Number(env.PGPORT),
  user: env.PGUSER,
  database: env.PGDATABASE,
  application_name: 'node-worker',
  options: '-c jit=off',
};

const policy = {
  name: 'policy',
  text: fs.readFileSync(path.join(__dirname, 'policy.sql'), 'utf8'),
};

const settle = {
  name: 'settle',
  text: `INSERT INTO bench.node_outcome
      (message_id, msg_id, recipient, device_id, certificate, status, reason,
       apns_id, finished_at)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[],
      $5::text[], $6::text[], $7::text[], $8::uuid[], $9::timestamptz[])`,
};

// Sessions stay: making new ones costs time, and CPU time of one that has gone
// could not be read any more.
const pool = new Pool({ ...database, max: 4, idleTimeoutMillis: 0 });
const provider = new apn.Provider({
  token: { key: env.APNS_KEY, keyId: 'KEY0000001', teamId: 'TEAM000001' },
  ca: fs.readFileSync(env.APNS_CA),
  address: 'localhost',
  port: Number(env.APNS_PORT),
  requestTimeout: 30000,
});

const queue = []; // planned and not sent yet
let head = 0; // of the queue
let inFlight = 0;
let fetching = false;
let look = true; // there may be new messages
let cursor = '0';

let outcomes = []; // not written yet
let timer = null;

function notification(row) {
  const note = new apn.Notification();
  note.rawPayload = {
    aps: {
      alert: { title: row.title, body: row.body },
      badge: row.badge,
      sound: row.sound,
      'thread-id': row.thread_id,
    },
    f: row.sender,
    t: row.recipient,
    m: row.msg_id,
  };
  note.topic = row.topic;
  note.pushType = 'alert';
  note.priority = 10;
  note.expiry = row.expiration;
  note.id = row.apns_id;
  note.collapseId = row.msg_id;
  return note;
}

async function send(row) {
  row.apns_id = randomUUID();
  const answer = await provider.send(notification(row), row.token);
  inFlight--;
  const failure = answer.failed[0];
  finish(
    row,
    failure ? 'failed' : 'sent',
    failure ? failure.response?.reason || String(failure.error) : null
  );
  pump();
}

function pump() {
  while (inFlight < IN_FLIGHT && head < queue.length) {
    inFlight++;
    send(queue[head++]);
  }
  if (head === queue.length) {
    queue.length = 0;
    head = 0;
  }
  if (look && !fetching && queue.length - head < PAGE) {
    fetch();
  }
}

async function fetch() {
  fetching = true;
  look = false;
  const { rows } = await pool.query({ ...policy, values: [cursor, PAGE] });
  fetching = false;
  let messages = 0;
  for (const row of rows) {
    if (row.message_id !== cursor) {
      messages++;
      cursor = row.message_id;
    }
    if (row.reason === null) {
      queue.push(row);
    } else {
      finish(row, 'suppressed', row.reason);
    }
  }
  if (messages === PAGE) {
    look = true;
  }
  pump();
}

function finish(row, status, reason) {
  row.status = status;
  row.reason = reason;
  row.finished_at = new Date();
  outcomes.push(row);
  if (outcomes.length >= BATCH) {
    write();
  } else if (timer === null) {
    timer = setTimeout(write, BATCH_DELAY_MS);
  }
}

async function write() {
  clearTimeout(timer);
  timer = null;
  const rows = outcomes;
  outcomes = [];
  const column = name => rows.map(row => row[name]);
  await pool.query({
    ...settle,
    values: [
      column('message_id'), column('msg_id'), column('recipient'),
      column('device_id'), column('certificate'), column('status'),
      column('reason'), column('apns_id'), column('finished_at'),
    ],
  });
}

// Where the outcomes end; a message that commits late, below the cursor, is
// found by a look from the beginning now and then, which costs an anti-join
// and is left out here.
async function main() {
  const listener = new Client(database);
  await listener.connect();
  listener.on('notification', () => {
    look = true;
    pump();
  });
  const last = await pool.query(
    'SELECT COALESCE(max(message_id), 0)::text AS id FROM bench.node_outcome');
  cursor = last.rows[0].id;
  await listener.query('LISTEN node_push');
  console.log('ready');
}

main();
