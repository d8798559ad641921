// foreign_server.js: an HTTP/2 server that nobody here has written, Node.js's
// own, in the place of APNs.
//
//     node foreign_server.js FOLDER PUBLIC_KEY STREAMS
//
// Listens on 127.0.0.1 with FOLDER/server.pem and server.key; FOLDER/port is
// there when it does.  Verifies provider tokens with the public key, and writes
// a line of JSON for each request to FOLDER/requests.log.  Allows so many
// streams at once, pads its frames, and says GOAWAY once in the middle.  A token
// that begins with dead is unregistered.  Ends when its standard input does.

'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http2 = require('node:http2');

const GOAWAY_AT = 400;

const [folder, publicKey, streams] = process.argv.slice(2);
const key = { key: fs.readFileSync(publicKey), dsaEncoding: 'ieee-p1363' };
const log = fs.openSync(`${folder}/requests.log`, 'a');
let sessions = 0;
let requests = 0;

const server = http2.createSecureServer({
  key: fs.readFileSync(`${folder}/server.key`),
  cert: fs.readFileSync(`${folder}/server.pem`),
  settings: { maxConcurrentStreams: Number(streams) },
  paddingStrategy: http2.constants.PADDING_STRATEGY_MAX,
});

function isSigned(authorization) {
  const parts = (authorization || '').replace(/^bearer /, '').split('.');

  return parts.length === 3 && crypto.verify('sha256', Buffer.from(`${parts[0]}.${parts[1]}`),
    key, Buffer.from(parts[2], 'base64url'));
}

function answer(stream, headers, body) {
  const session = stream.session;
  const signed = isSigned(headers.authorization);
  let status = signed ? 200 : 403;
  let said = signed ? '' : JSON.stringify({ reason: 'InvalidProviderToken' });

  if (signed && headers[':path'].startsWith('/3/device/dead')) {
    status = 410;
    said = JSON.stringify({ reason: 'Unregistered', timestamp: Date.now() });
  }
  fs.writeSync(log, `${JSON.stringify({ session: session.number, alpn: session.alpnProtocol,
    headers, body, signed, status })}\n`);
  stream.respond({ ':status': status, 'apns-id': headers['apns-id'] });
  stream.end(said);
  if (++requests === GOAWAY_AT)
    session.close();
}

server.on('session', (session) => {
  session.number = ++sessions;
});
server.on('stream', (stream, headers) => {
  const body = [];

  stream.on('error', () => {});
  stream.on('data', (data) => body.push(data));
  stream.on('end', () => answer(stream, headers, Buffer.concat(body).toString()));
});
server.on('sessionError', () => {});
server.listen(0, '127.0.0.1', () => {
  fs.writeFileSync(`${folder}/port.new`, `${server.address().port}\n`);
  fs.renameSync(`${folder}/port.new`, `${folder}/port`);
});
process.stdin.on('end', () => process.exit(0)).resume();
