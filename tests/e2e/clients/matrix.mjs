// What agents do with objects beyond storing and fetching them, as the AWS SDK for JavaScript v3 does
// it. Usage: matrix.mjs SCENARIO BUCKET. Prints one JSON object per step.
//
// `objects`: every size and checksum, bodies of every payload mode, ranges, copies, multipart uploads
// that end well or are given up, `select`. `presign`: URLs for somebody else, and the upload that
// their parts belong to.

import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import * as s3 from '@aws-sdk/client-s3';
import { way } from './way.mjs';

const MEBIBYTE = 1024 * 1024;
const SIZES = [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, MEBIBYTE];
const LARGE = 256 * MEBIBYTE;
const ALGORITHMS = ['CRC32', 'CRC32C', 'SHA1', 'SHA256'];

const say = (line) => console.log(JSON.stringify(line));
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function step(name, work) {
  try {
    say({ step: name, ok: true, value: (await work()) ?? null });
  } catch (error) {
    say({ step: name, ok: false, message: `${error.name}: ${error.message}`, status: error.$metadata?.httpStatusCode });
  }
}

async function objects(Bucket) {
  const client = new s3.S3Client(way);
  const quiet = new s3.S3Client({ ...way, requestChecksumCalculation: 'WHEN_REQUIRED' });
  const send = (Command, parameters, by = client) => by.send(new Command({ Bucket, ...parameters }));
  const fetched = async (Key, body, parameters = {}) => {
    const { Body } = await send(s3.GetObjectCommand, { Key, ...parameters });
    if (sha256(await Body.transformToByteArray()) !== sha256(body)) throw new Error(`${Key} came back changed`);
  };
  const stored = (Key, body, parameters = {}, by = client) => step(Key, async () => {
    await send(s3.PutObjectCommand, { Key, Body: body, ...parameters }, by);
    await fetched(Key, body);
  });
  const streamed = (Key, body) => step(Key, async () => {
    await send(s3.PutObjectCommand, { Key, Body: Readable.from([body]), ContentLength: body.length });
    await fetched(Key, body);
  });
  await step('create', async () => { await send(s3.CreateBucketCommand, {}); });
  for (const size of SIZES) {
    const body = randomBytes(size);
    for (const algorithm of ALGORITHMS) await stored(`${algorithm}/${size}`, body, { ChecksumAlgorithm: algorithm });
    await stored(`digest/${size}`, body, {}, quiet);
    await streamed(`stream/${size}`, body);
  }
  // From the tunnel's end on, both ways are one. Not as a stream: moto reads frames in quadratic time.
  const large = randomBytes(process.env.HTTPS_PROXY ? 0 : LARGE);
  await stored('large/whole', large);
  await stored('large/digest', large, {}, quiet);
  await step('large/parts', async () => {
    await new Upload({ client, params: { Bucket, Key: 'large/parts', Body: large } }).done();
    await fetched('large/parts', large);
  });
  await step('clear', async () => {
    for (const name of ['whole', 'digest', 'parts']) await send(s3.DeleteObjectCommand, { Key: `large/${name}` });
  });

  const body = randomBytes(17 * MEBIBYTE);
  const upload = (Key, parameters = {}) => new Upload({ client, params: { Bucket, Key, Body: body, ...parameters }, partSize: 5 * MEBIBYTE });
  await step('multipart', async () => {
    await upload('multi part').done();
    await fetched('multi part', body);
  });
  await step('multipart of a stream', async () => {
    await upload('multi stream', { Body: Readable.from([body.subarray(0, 1000), body.subarray(1000)]) }).done();
    await fetched('multi stream', body);
  });
  await step('range', () => fetched('multi part', body.subarray(1000, 2000), { Range: 'bytes=1000-1999' }));
  await stored('whole ü', body);
  await step('copy', async () => {
    await send(s3.CopyObjectCommand, { Key: 'copy ü', CopySource: encodeURI(`${Bucket}/whole ü`) });
    await fetched('copy ü', body);
  });
  await step('copy of a part', async () => {
    const Key = 'copied part';
    const { UploadId } = await send(s3.CreateMultipartUploadCommand, { Key });
    const { CopyPartResult } = await send(s3.UploadPartCopyCommand, {
      Key, UploadId, PartNumber: 1, CopySource: encodeURI(`${Bucket}/multi part`), CopySourceRange: `bytes=0-${6 * MEBIBYTE - 1}`,
    });
    const Parts = [{ PartNumber: 1, ETag: CopyPartResult.ETag }];
    await send(s3.CompleteMultipartUploadCommand, { Key, UploadId, MultipartUpload: { Parts } });
    await fetched(Key, body.subarray(0, 6 * MEBIBYTE));
  });
  await step('given up', async () => {
    const { UploadId } = await send(s3.CreateMultipartUploadCommand, { Key: 'given up' });
    await send(s3.UploadPartCommand, { Key: 'given up', UploadId, PartNumber: 1, Body: 'part' });
    await send(s3.AbortMultipartUploadCommand, { Key: 'given up', UploadId });
    const { Uploads = [] } = await send(s3.ListMultipartUploadsCommand, {});
    if (Uploads.length) throw new Error('the upload is still there');
  });
  await step('select', async () => {
    await send(s3.PutObjectCommand, { Key: 'table', Body: '{"a": 1}\n{"a": 2}\n' });
    const { Payload } = await send(s3.SelectObjectContentCommand, {
      Key: 'table', Expression: 'SELECT count(*) FROM s3object s', ExpressionType: 'SQL',
      InputSerialization: { JSON: { Type: 'LINES' } }, OutputSerialization: { JSON: {} },
    });
    let text = '';
    for await (const event of Payload) text += Buffer.from(event.Records?.Payload ?? []).toString();
    return text;
  });
}

async function presign(Bucket) {
  // A checksum of what is not there yet would be signed with the URL.
  const client = new s3.S3Client({ ...way, requestChecksumCalculation: 'WHEN_REQUIRED' });
  const url = (name, Command, parameters) => step(name, () =>
    getSignedUrl(client, new Command({ Bucket, Key: 'a b/é+%.bin', ...parameters }), { expiresIn: 300 }));
  const Key = 'in parts';
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key }));
  await url('put', s3.PutObjectCommand);
  await url('get', s3.GetObjectCommand);
  for (const PartNumber of [1, 2]) await url(`part ${PartNumber}`, s3.UploadPartCommand, { Key, UploadId, PartNumber });
  await url('get parts', s3.GetObjectCommand, { Key });
  await step('upload', () => UploadId);
}

const [scenario, bucket] = process.argv.slice(2);
await { objects, presign }[scenario](bucket);
