-- Certificates: what is checked when they are written, and what set_certificate() does.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';

-- Keys made for this test with openssl, used nowhere else.
SELECT '-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgn4hdshY69gec+KHW
xrByISAVkQjAeTSpiPvT142FtZ+hRANCAATS6Umdf+VQ303sAP44FxIHGWuRedD4
Oy/KgPbkOK0nfpqi43gyNoOO6FzwlZtPlOcb+D9F07puP/CE9eyDVcSO
-----END PRIVATE KEY-----' AS signing_key
\gset
SELECT '-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg33cb0/Pgytn0YkkV
YYhdhYVA4XBIBxYZab7/icSuu/mhRANCAAT00mKpq72QeQ+yzuXWMHqAHyAvpo7E
ip/bDaw/vNHVM7d3/NJ2uTmeSMp0Gmb1FB7MMr1u5KGDpg/eTxHXrZQN
-----END PRIVATE KEY-----' AS other_key
\gset
SELECT '-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAy05kgV8Sh26KCNNn2
ZqaJqX4G/fxQYYV9s3vI0h9WiPsl7g/+8w7BbPkJPbzctAChZANiAASziIiRWOh2
56AHADabMSdRyMDkEBFv3LqmTnKhzVOV1CnmwrIFUP9D0eXvdIOtSiHAVOMtQVQf
tdBck2oBDwueq2Dv2/srDCnBXwtllRR/1J4HXs+GWrW+aFASoQnRxNY=
-----END PRIVATE KEY-----' AS p384_key
\gset
SELECT '-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCx15yV0tXn0/n3
941bGFd7gXyKO1Z2Zf3KxaQgPlOJeZ/4NpGbvfwReMl9VCr5hu7u7ye92V3eZvPl
5fB28jIIAiqUmDG5hNqHdq2rVKPpH9t8De/lC4HYIHrqNFyvuhRrcd3DNrnzKAOX
bAV1AWzzsl1p5SUVeGDCepYXr3rca3fNkWv6ASzsCjaciMVcdreMlF3oeMyOdwiQ
mvnPVxrYpR8jdcWi/iseA1PosGgqijKQ7f0uB2Rtb3hI8UjyIt7nOkcg4syk3/Yr
BwwcuOzLPvul0X3S0fIroXA1yEKe+XfojfYi4NGFWgUPrvUMOrKNeed/b8mdygMW
xxdIsUR7AgMBAAECggEAOapqtTAcuSPEeZG1LbUaZMtLWT09X33Zyd7FRck/6CNe
aiszkrcLXZT3bKKWnruQjTxR/B7X764dZs3k54TIEU22heFFulyoSWWDkbsLvSNd
1X9larUNAMojYP7ikP568Y4F9O8xY3V1mKtnp5VzQR/0Z0pseGZEpbr/ISX+5iqM
u4xDYCxenXZ6sivSDHlksyqAmRmF9qlHIDNldMEdffZxsxebBz09XwarJGUOmcJ/
XLeWiM3ZV8U+mFVNaaUfwU/zFdr/gyFm5LsonpIFycdXZuG7WyiGK1BFWnCKGPA5
NgdIhpM5Nm+5bNTf/8YplkiqqYHkc9vFvJvumLPSnQKBgQD4mJ8m8+QcHNzHGQun
zSzlRzQrnYjMZxkRVMf2mPOfAqybt2Enz42DZ3oPxntN8vHZZGF8nluBVPLS+LtW
m2xbO1FJd8XxqblMovyj1zHmXaAK5Y1ydOzkSGwnLijbJpT2Vy5nRCY40OEwAOlv
XYRtBt+zlRd51d6zE9ZgUWJi9QKBgQC3I4nwf5oxKbU2gB2NQP21Lu+rnVR4TlwL
/x7MAyce0l0PUJ9MKzKVMaXSLSfSJkhf1VMjcOGboHCSCydhDiSJ6yWvCieN9V0T
xTOVweifrwPlcUR4HUVxTKqVLMa2XWj0orh/r9DU1aM1XW7zONUVOAe9HrxZOoYC
k4SDnXPDrwKBgQC6XVh60D5DIRQWIl2Nh5BPtkiTJf+HFQdC6ecapGGG5G9YMWqh
eMSjLTDhoK+RqT7L9afrz5/T3kZICPYQoGXkIxz2UddQKyfiHxH9FfevtqKjaKHY
m3V4Uh7aZI12dX8ZChSckAeDcnxPC2/08Au13IBZ1byKtt3ELGv7Oyfh/QKBgEHh
rwWtYbK95kqs2/SspJhBQkbiWjjNN5+5L0ME/1W/J2sS/btQ7uls6tIpHGIlE3Qm
MbpWKVLq7JQdHxVzGQHkbbICXShcVBeAoYYGM8D+HNC1ZoQvQ4P2qIbxjKqd/9vB
jc2hWea20/emnPsyPrVbaq1GGUugGgVjPBB82+BRAoGAS2YCRidD8ioQkFVANLS+
Kd0e7zrkBRegYsqOjfL+AqbZUmhcOzoSDdEGZDS6mbXR3kK2sL6uKW273rdS3js/
JGgQpeiJUkjsIEPLWBV0kYk4NZvPghhvHBf5mANmfoOlw7QbvrAe9sVhDUCQ6u3Y
6JhiPu+tPCv3RyYaAsQWz6o=
-----END PRIVATE KEY-----' AS rsa_key
\gset
SELECT '-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhuZ7gEyR24pQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEGBKJYsDmcE+tDObL/xrSJUEgZDv
+9PGpJ+RQQMtnEKNg0awA1DCL5R1bf5A2Rl5TzX0yrrm9f9oANzhOc7Vz5kf8s/n
ZTloSkP3okLlRX+/e+UwvIc1uBdTUT22lOTN+23mpdse+fTHfbUwRl85G6/ULMy/
p6A3E+/1GdBwTubl+uFKQwhnyEMRcFTXkLX/8R6VjdTA3tToF5NFaWsUeADP3gA=
-----END ENCRYPTED PRIVATE KEY-----' AS locked_key
\gset
SELECT '-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUDnjAcfoxlMtgbY8BmC/YI7OlSxgwCgYIKoZIzj0EAwIw
HzEdMBsGA1UEAwwUaW1wX3B1c2ggdGVzdCBjbGllbnQwIBcNMjYxMTI0MDQxMTI2
WhgPMjEyNjEwMzEwNDExMjZaMB8xHTAbBgNVBAMMFGltcF9wdXNoIHRlc3QgY2xp
ZW50MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0ulJnX/lUN9N7AD+OBcSBxlr
kXnQ+DsvyoD25DitJ36aouN4MjaDjuhc8JWbT5TnG/g/RdO6bj/whPXsg1XEjqNT
MFEwHQYDVR0OBBYEFMX3Au8nzHu6mWmt/kbKLcbP/Y1YMB8GA1UdIwQYMBaAFMX3
Au8nzHu6mWmt/kbKLcbP/Y1YMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID
SAAwRQIhANd6yX+Wb8CXqpelgqxwkalNh6EPmmKZlAR8Bhq0Z96OAiBGqp6pRxWl
hKulIIYu/1F57Mv4WkVQr2GBrTqpYBc6zw==
-----END CERTIFICATE-----' AS client_certificate
\gset
SELECT '-----BEGIN CERTIFICATE-----
MIIDGzCCAgOgAwIBAgIUTFmNFOjcK9ApilPsyPSIlSjNT/QwDQYJKoZIhvcNAQEL
BQAwHDEaMBgGA1UEAwwRaW1wX3B1c2ggdGVzdCByc2EwIBcNMjYxMTI0MDQxMTI2
WhgPMjEyNjEwMzEwNDExMjZaMBwxGjAYBgNVBAMMEWltcF9wdXNoIHRlc3QgcnNh
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsdecldLV59P59/eNWxhX
e4F8ijtWdmX9ysWkID5TiXmf+DaRm738EXjJfVQq+Ybu7u8nvdld3mbz5eXwdvIy
CAIqlJgxuYTah3atq1Sj6R/bfA3v5QuB2CB66jRcr7oUa3Hdwza58ygDl2wFdQFs
87JdaeUlFXhgwnqWF6963Gt3zZFr+gEs7Ao2nIjFXHa3jJRd6HjMjncIkJr5z1ca
2KUfI3XFov4rHgNT6LBoKooykO39LgdkbW94SPFI8iLe5zpHIOLMpN/2KwcMHLjs
yz77pdF90tHyK6FwNchCnvl36I32IuDRhVoFD671DDqyjXnnf2/JncoDFscXSLFE
ewIDAQABo1MwUTAdBgNVHQ4EFgQUn2e+Z0uURxhOBJlcyJxmA4YnzvEwHwYDVR0j
BBgwFoAUn2e+Z0uURxhOBJlcyJxmA4YnzvEwDwYDVR0TAQH/BAUwAwEB/zANBgkq
hkiG9w0BAQsFAAOCAQEAntw1bsHr+FLbh9JfHWe4vGGKtVmkHCckYLfQwnfUrtIq
91EYdVK9NF98e6wKHpBx9urwXyFpa4a+lS+2cPT0wQk1/HD6eDquIrioBQHLlnd1
0xlJrSR5ukDertpkFdfD5ITE2FawVKq81/yIS2IGNmCTxDzvKce1EmJQBgEPqxhm
h3YCC7WUE5m0ebSQ/DK0mh14nIYyqiQnVk+cWiY0thDm/c6gTxbGiiXfaaJjoOw4
gE3Jm5Feh9Qn5TgL0nIZVUza3iM5GLB3bfOEsk9/6b95M5gZ/fLo3N2iCkLfBpiV
qCuG2pfvvvV40wttrHcf3gEGrmzEBPbMl4znuQts2w==
-----END CERTIFICATE-----' AS rsa_certificate
\gset

-- A plain INSERT makes a certificate that waits for its key.
INSERT INTO imp_push.certificate (name, bundle_id) VALUES ('plain', 'com.example.app');
SELECT * FROM imp_push.certificate WHERE name = 'plain' \gx
SELECT * FROM imp_push.certificate_key_status WHERE certificate = 'plain';

-- Every column is checked, and no value but the name is quoted.
INSERT INTO imp_push.certificate (name, bundle_id) VALUES (NULL, 'com.example.app');
INSERT INTO imp_push.certificate (name, bundle_id) VALUES ('', 'com.example.app');
INSERT INTO imp_push.certificate (name, bundle_id) VALUES (E'a\nb', 'com.example.app');
INSERT INTO imp_push.certificate (name, bundle_id) VALUES (repeat('名', 84), 'com.example.app');
INSERT INTO imp_push.certificate (name) VALUES ('x');
INSERT INTO imp_push.certificate (name, bundle_id) VALUES ('x', '');
INSERT INTO imp_push.certificate (name, bundle_id) VALUES ('x', E'com.example\r\napns-id: 1');
UPDATE imp_push.certificate SET push_type = 'background' WHERE name = 'plain';
UPDATE imp_push.certificate SET push_type = NULL WHERE name = 'plain';
UPDATE imp_push.certificate SET environment = 'sandbox' WHERE name = 'plain';
UPDATE imp_push.certificate SET team_id = 'TEAM', key_id = 'KEY4567890' WHERE name = 'plain';
UPDATE imp_push.certificate SET team_id = 'TEAM567890', key_id = 'KEY456789"' WHERE name = 'plain';
UPDATE imp_push.certificate SET team_id = 'TEAM567890' WHERE name = 'plain';
UPDATE imp_push.certificate SET key_file = 'file:apns.p8' WHERE name = 'plain';
UPDATE imp_push.certificate SET key_file = '../apns.p8' WHERE name = 'plain';
UPDATE imp_push.certificate SET key_file = '/etc/passwd' WHERE name = 'plain';
UPDATE imp_push.certificate SET key_file = '' WHERE name = 'plain';
UPDATE imp_push.certificate SET client_certificate_file = 'a/b' WHERE name = 'plain';
UPDATE imp_push.certificate SET sound = repeat('s', 251) WHERE name = 'plain';
UPDATE imp_push.certificate SET mutable_content = NULL WHERE name = 'plain';
UPDATE imp_push.certificate SET enabled = NULL WHERE name = 'plain';

-- An endpoint is https://host[:port].
UPDATE imp_push.certificate SET endpoint = 'http://localhost' WHERE name = 'plain';
SELECT endpoint, imp_push.is_endpoint(endpoint)
FROM (VALUES ('https://localhost'), ('https://localhost:2197'), ('https://10.0.0.1:1'),
             ('https://apns-sim.example.com.:65535'), ('https://[::1]:443'), ('https://[2001:db8::1]'),
             ('https://apns_sim'), ('https://'), ('https://:443'), ('https://localhost/'),
             ('https://localhost/3/device'), ('https://localhost?a=b'), ('https://localhost#a'),
             ('https://me:secret@localhost'), ('https://localhost:'), ('https://localhost:0'),
             ('https://localhost:65536'), ('https://localhost:4 43'), ('https://a b'),
             (E'https://localhost\n'), ('https://[::1'), ('https://[10.0.0.1]'), ('https://[::g]'),
             ('https://a..b'), ('HTTPS://localhost'), ('https://exämple.com'), ('ftp://localhost'), ('')) v (endpoint);
-- Whatever backslashes mean to the caller.
SET standard_conforming_strings = off;
UPDATE imp_push.certificate SET endpoint = 'https://localhost/path' WHERE name = 'plain';
UPDATE imp_push.certificate SET endpoint = 'https://[::1]:443', sound = 'ring.caf' WHERE name = 'plain';
RESET standard_conforming_strings;

-- set_certificate() makes a certificate with the table's defaults ...
SELECT imp_push.set_certificate('app', bundle_id => 'com.example.app', team_id => 'TEAM567890',
                                key_id => 'KEY4567890', private_key => :'signing_key');
SELECT * FROM imp_push.certificate WHERE name = 'app' \gx
SELECT * FROM imp_push.certificate_key_status WHERE certificate = 'app';
SELECT private_key = :'signing_key' AS key_is_stored, client_certificate, client_key
FROM imp_push.certificate_key WHERE certificate = 'app';

-- ... and changes one, where NULL keeps what is there ...
SELECT imp_push.set_certificate('app', environment => 'development', sound => 'ring.caf',
                                endpoint => 'https://localhost:2197');
SELECT imp_push.set_certificate('app', team_id => 'TEAM567890', key_id => 'KEY4567890');
SELECT imp_push.set_certificate('app');
UPDATE imp_push.certificate SET enabled = false, mutable_content = true WHERE name = 'app';
SELECT imp_push.set_certificate('app', private_key => :'other_key');
SELECT * FROM imp_push.certificate WHERE name = 'app' \gx
SELECT private_key = :'other_key' AS key_is_stored
FROM imp_push.certificate_key WHERE certificate = 'app';

-- ... by position too, in this order.
SELECT imp_push.set_certificate('positional', 'com.example.app', 'development', 'TEAM567890', 'KEY4567890',
                                :'signing_key', NULL, NULL, 'voip', 'ring.caf', 'https://localhost');
SELECT * FROM imp_push.certificate WHERE name = 'positional' \gx

-- While the database is stopped it says so.
BEGIN;
UPDATE imp_push.control SET started = false;
SET LOCAL client_min_messages = notice;
SELECT imp_push.set_certificate('app', sound => 'other.caf');
ROLLBACK;

-- A new key comes with its ids, other ids come with their key.
SELECT imp_push.set_certificate('app', key_id => 'KEY4567899');
SELECT imp_push.set_certificate('plain', team_id => 'TEAM567890', key_id => 'KEY4567890');
SELECT imp_push.set_certificate('app', team_id => 'TEAM567899');
UPDATE imp_push.certificate SET key_id = 'KEY4567899' WHERE name = 'app';
SELECT imp_push.set_certificate('new', bundle_id => 'com.example.app', team_id => 'TEAM567890', key_id => 'KEY4567890');
SELECT imp_push.set_certificate('new', bundle_id => 'com.example.app', team_id => 'TEAM567890', private_key => :'signing_key');
SELECT imp_push.set_certificate('new', bundle_id => 'com.example.app', private_key => :'signing_key');
SELECT imp_push.set_certificate('app', key_id => 'KEY4567899', private_key => :'signing_key');
SELECT team_id, key_id FROM imp_push.certificate WHERE name = 'app';

-- A new certificate needs a bundle id and a key.
SELECT imp_push.set_certificate('new');
SELECT imp_push.set_certificate('new', bundle_id => 'com.example.app');
SELECT imp_push.set_certificate(NULL, bundle_id => 'com.example.app');
SELECT imp_push.set_certificate('new', team_id => 'TEAM567890', key_id => 'KEY4567890', private_key => :'signing_key');

-- Keys that are refused.
SELECT imp_push.set_certificate('app', private_key => '');
SELECT imp_push.set_certificate('app', private_key => 'secret');
SELECT imp_push.set_certificate('app', private_key => replace(:'signing_key', E'\n', ''));
SELECT imp_push.set_certificate('app', private_key => left(:'signing_key', 120));
SELECT imp_push.set_certificate('app', private_key => :'client_certificate');
SELECT imp_push.set_certificate('app', private_key => :'p384_key');
SELECT imp_push.set_certificate('app', private_key => :'rsa_key');
SELECT imp_push.set_certificate('app', private_key => :'locked_key');
SELECT imp_push.set_certificate('app', private_key => repeat('x', 65537));
-- One that was given in the wrong place is not shown.
SELECT imp_push.set_certificate(:'signing_key');
SELECT imp_push.set_certificate('app', :'signing_key');
SELECT imp_push.set_certificate('app', team_id => :'signing_key', key_id => 'KEY4567890', private_key => :'signing_key');
SELECT imp_push.set_certificate('app', sound => :'signing_key');
SELECT imp_push.set_certificate('app', endpoint => :'signing_key');

-- A client certificate with its key.
SELECT imp_push.set_certificate('client', bundle_id => 'com.example.app', client_certificate => :'rsa_certificate',
                                client_key => :'rsa_key');
SELECT team_id, key_id, key_file, client_certificate_file FROM imp_push.certificate WHERE name = 'client';
SELECT * FROM imp_push.certificate_key_status WHERE certificate = 'client';
SELECT private_key, client_certificate = :'rsa_certificate' AS certificate_is_stored, client_key = :'rsa_key' AS key_is_stored
FROM imp_push.certificate_key WHERE certificate = 'client';
-- The key may also stand behind the certificate, as in files that hold both.
SELECT imp_push.set_certificate('client', client_certificate => :'client_certificate' || E'\n' || :'signing_key',
                                client_key => :'client_certificate' || E'\n' || :'signing_key');

SELECT imp_push.set_certificate('client', client_certificate => :'rsa_certificate');
SELECT imp_push.set_certificate('client', client_key => :'rsa_key');
SELECT imp_push.set_certificate('client', client_certificate => 'secret');
SELECT imp_push.set_certificate('client', client_certificate => :'client_certificate' || E'\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
SELECT imp_push.set_certificate('client', client_key => 'secret');
SELECT imp_push.set_certificate('client', client_key => :'locked_key');
SELECT imp_push.set_certificate('new', bundle_id => 'com.example.app', client_certificate => :'rsa_certificate');
SELECT imp_push.set_certificate('new', bundle_id => 'com.example.app', client_key => :'rsa_key');

-- Exactly one kind of authentication; a whole other kind takes its place.
SELECT imp_push.set_certificate('client', private_key => :'signing_key', client_key => :'rsa_key');
SELECT imp_push.set_certificate('client', team_id => 'TEAM567890', key_id => 'KEY4567890',
                                client_certificate => :'rsa_certificate', client_key => :'rsa_key');
SELECT imp_push.set_certificate('client', private_key => :'signing_key');
SELECT imp_push.set_certificate('app', client_key => :'rsa_key');
UPDATE imp_push.certificate SET team_id = 'TEAM567890', key_id = 'KEY4567890' WHERE name = 'client';
UPDATE imp_push.certificate SET client_certificate_file = 'client.pem' WHERE name = 'app';
SELECT imp_push.set_certificate('client', team_id => 'TEAM567890', key_id => 'KEY4567890', private_key => :'signing_key');
SELECT imp_push.set_certificate('app', client_certificate => :'client_certificate', client_key => :'signing_key');
SELECT c.name, c.team_id, c.key_id, k.private_key IS NOT NULL AS private_key,
       k.client_certificate IS NOT NULL AS client_certificate, k.client_key IS NOT NULL AS client_key, k.expires_at
FROM imp_push.certificate c JOIN imp_push.certificate_key k ON k.certificate = c.name
WHERE c.name IN ('client', 'app') ORDER BY c.name;

-- Clearing the ids erases the key that belonged to them.
UPDATE imp_push.certificate SET team_id = NULL, key_id = NULL WHERE name = 'client';
SELECT * FROM imp_push.certificate_key WHERE certificate = 'client';
SELECT has_key FROM imp_push.certificate_key_status WHERE certificate = 'client';

-- A reference to a file and a stored key exclude each other.
UPDATE imp_push.certificate SET key_file = 'apns.p8' WHERE name = 'app';
UPDATE imp_push.certificate SET client_certificate_file = 'client.pem' WHERE name = 'app';
-- After a restore there are only references.
INSERT INTO imp_push.certificate (name, bundle_id, team_id, key_id, key_file)
VALUES ('file', 'com.example.app', 'TEAM567890', 'KEY4567890', 'apns.p8');
SELECT has_key FROM imp_push.certificate_key_status WHERE certificate = 'file';
SELECT imp_push.set_certificate('file', sound => 'ring.caf');
-- A key by value replaces the reference.
SELECT imp_push.set_certificate('file', private_key => :'signing_key');
SELECT key_file, team_id FROM imp_push.certificate WHERE name = 'file';

-- No path leads out of the directory of keys.
SELECT imp_push.set_certificate('file', private_key => 'file:../../etc/passwd');
SELECT imp_push.set_certificate('file', private_key => 'file:/etc/passwd');
SELECT imp_push.set_certificate('file', private_key => 'file:..');
SELECT imp_push.set_certificate('file', private_key => 'file:');
SELECT imp_push.set_certificate('file', client_certificate => 'file:a\b', client_key => 'file:b\c');

-- One that is stored has to fit into its row, for no key may get into a toast table.
SELECT imp_push.set_certificate('file', private_key => :'signing_key' || repeat(E'\n', 7000));
SELECT imp_push.set_certificate('file', private_key => :'signing_key' || repeat(E'\n', 7500));

-- bundle_id and push_type belong to the bindings, a name can change.
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
VALUES ('certificate-test', 'phone', 'app', 'c0ffee');
SELECT imp_push.set_certificate('app', bundle_id => 'com.example.other');
UPDATE imp_push.certificate SET push_type = 'voip' WHERE name = 'app';
SELECT imp_push.set_certificate('app', bundle_id => 'com.example.app', push_type => 'alert', sound => 'x');
DELETE FROM imp_push.certificate WHERE name = 'app';
UPDATE imp_push.certificate SET name = 'renamed' WHERE name = 'app';
SELECT user_id, certificate FROM imp_push.device_token WHERE user_id = 'certificate-test';
SELECT certificate, client_key IS NOT NULL AS client_key FROM imp_push.certificate_key WHERE certificate = 'renamed';
DELETE FROM imp_push.device_token WHERE user_id = 'certificate-test';
SELECT imp_push.set_certificate('renamed', bundle_id => 'com.example.other', push_type => 'voip');
SELECT bundle_id, push_type FROM imp_push.certificate WHERE name = 'renamed';

-- With the certificate goes its key.
DELETE FROM imp_push.certificate WHERE name IN ('plain', 'renamed', 'positional', 'client', 'file');
SELECT count(*) FROM imp_push.certificate_key
WHERE certificate IN ('plain', 'app', 'renamed', 'positional', 'client', 'file');

-- Not even who may read all tables reads keys.
CREATE ROLE imp_push_test_reader;
GRANT pg_read_all_data TO imp_push_test_reader;
SELECT imp_push.set_certificate('app', bundle_id => 'com.example.app', team_id => 'TEAM567890',
                                key_id => 'KEY4567890', private_key => :'signing_key');
SET ROLE imp_push_test_reader;
SELECT count(*) FROM imp_push.certificate_key;
SELECT count(*) FROM imp_push.provider_token;
RESET ROLE;
REVOKE pg_read_all_data FROM imp_push_test_reader;
DROP ROLE imp_push_test_reader;
DELETE FROM imp_push.certificate WHERE name = 'app';
