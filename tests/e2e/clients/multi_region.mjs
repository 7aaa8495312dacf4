// The AWS SDK for JavaScript v3 with its own Signature Version 4A on an S3 multi-region access
// point. It knows no proxy: the tunnel is opened here. Usage: multi_region.mjs SCENARIO ARN.

import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import '@aws-sdk/signature-v4a';
import * as s3 from '@aws-sdk/client-s3';

const KEYS = ['a b/ü+~%2F&=?.txt', 'x//y', 'é/日本'];
const proxy = new URL(process.env.HTTPS_PROXY);

class Tunnel extends https.Agent {
  createConnection(options, done) {
    const path = `${options.host}:${options.port || 443}`;
    const asked = http.request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path, headers: { host: path } });
    asked.on('connect', (answer, socket) => {
      if (answer.statusCode !== 200) return done(new Error(`the proxy answered ${answer.statusCode}`));
      return done(null, tls.connect({ socket, servername: options.host }));
    });
    asked.on('error', done);
    asked.end();
  }
}

const client = new s3.S3Client({ requestHandler: { httpsAgent: new Tunnel() } });
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function step(name, command, value = () => null) {
  try {
    const answer = await client.send(command);
    const line = { step: name, ok: true, attempts: answer.$metadata.attempts, value: await value(answer) };
    console.log(JSON.stringify(line));
  } catch (error) {
    const { attempts } = error.$metadata ?? {};
    const line = { step: name, ok: false, attempts, code: error.name, message: error.message, type: error.constructor.name };
    console.log(JSON.stringify(line));
  }
}

const scenarios = {
  async objects(Bucket) {
    const Body = randomBytes(300_000);
    for (const key of KEYS) {
      const Key = `js/${key}`;
      await step('put', new s3.PutObjectCommand({ Bucket, Key, Body }));
      const read = async (answer) => sha256(await answer.Body.transformToByteArray()) === sha256(Body);
      await step('get', new s3.GetObjectCommand({ Bucket, Key }), read);
    }
    await step('list', new s3.ListObjectsV2Command({ Bucket, Prefix: 'js/' }), (answer) => answer.Contents.map((row) => row.Key));
  },
  async delete(Bucket) {
    await step('delete', new s3.DeleteObjectCommand({ Bucket, Key: 'protected/k' }));
  },
};

await scenarios[process.argv[2]](process.argv[3]);
client.destroy();
