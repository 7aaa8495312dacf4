// The AWS SDK for JavaScript v3 as an agent uses it: everything it knows of the gateway comes from
// the environment. Usage: sdk.mjs SCENARIO PREFIX. Prints one JSON object per step.

import { createHash, randomBytes } from 'node:crypto';
import { Upload } from '@aws-sdk/lib-storage';
import * as cloudwatch from '@aws-sdk/client-cloudwatch';
import * as dynamodb from '@aws-sdk/client-dynamodb';
import * as ec2 from '@aws-sdk/client-ec2';
import * as iam from '@aws-sdk/client-iam';
import * as lambda from '@aws-sdk/client-lambda';
import * as s3 from '@aws-sdk/client-s3';
import * as secrets from '@aws-sdk/client-secrets-manager';
import * as sqs from '@aws-sdk/client-sqs';
import * as sts from '@aws-sdk/client-sts';
import { way } from './way.mjs';

const KEYS = ['a b/ü+~%2F&=?.txt', '..//x', 'é/日本'];
const SIZES = { empty: 0, single: 8 * 1024 * 1024, multipart: 64 * 1024 * 1024 };

const say = (line) => console.log(JSON.stringify(line));
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function call(client, command, value = () => null) {
  const step = `${client.config.serviceId}.${command.constructor.name.replace(/Command$/, '')}`;
  try {
    const answer = await client.send(command);
    say({ step, ok: true, attempts: answer.$metadata.attempts, value: await value(answer) });
    return answer;
  } catch (error) {
    const { attempts, httpStatusCode } = error.$metadata ?? {};
    say({ step, ok: false, attempts, status: httpStatusCode, code: error.name, message: error.message, type: error.constructor.name });
    return undefined;
  }
}

async function services(prefix) {
  const TableName = `${prefix}-table`;
  const tables = new dynamodb.DynamoDBClient(way);
  await call(tables, new dynamodb.CreateTableCommand({
    TableName, KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }], BillingMode: 'PAY_PER_REQUEST',
  }));
  await call(tables, new dynamodb.PutItemCommand({ TableName, Item: { id: { S: 'é日本' }, n: { N: '1' } } }));
  await call(tables, new dynamodb.GetItemCommand({ TableName, Key: { id: { S: 'é日本' } } }), (a) => a.Item.id.S);
  const queues = new sqs.SQSClient({ ...way, useQueueUrlAsEndpoint: false });
  const queue = await call(queues, new sqs.CreateQueueCommand({ QueueName: `${prefix}-queue` }));
  if (queue) {
    await call(queues, new sqs.SendMessageCommand({ QueueUrl: queue.QueueUrl, MessageBody: 'a=b&c d\n<e>' }));
    await call(queues, new sqs.ReceiveMessageCommand({ QueueUrl: queue.QueueUrl }), (a) => a.Messages[0].Body);
  }
  const machines = new ec2.EC2Client(way);
  await call(machines, new ec2.DescribeVpcsCommand({}), (a) => a.Vpcs.length);
  await call(machines, new ec2.DescribeInstancesCommand({ Filters: [{ Name: 'tag:a b', Values: ['x&y', 'é'] }], MaxResults: 5 }));
  await call(machines, new ec2.CreateSecurityGroupCommand({ GroupName: `${prefix} group`, Description: 'a & b = c' }));
  const identities = new iam.IAMClient(way);
  await call(identities, new iam.CreateRoleCommand({ RoleName: `${prefix}-role`, AssumeRolePolicyDocument: '{"Version":"2012-10-17","Statement":[]}' }));
  await call(identities, new iam.GetRoleCommand({ RoleName: `${prefix}-role` }), (a) => a.Role.RoleName);
  const metrics = new cloudwatch.CloudWatchClient(way);
  await call(metrics, new cloudwatch.PutMetricDataCommand({ Namespace: prefix, MetricData: [{ MetricName: 'calls', Value: 1.5, Unit: 'Count' }] }));
  await call(metrics, new cloudwatch.ListMetricsCommand({ Namespace: prefix }), (a) => a.Metrics.length);
  const manager = new secrets.SecretsManagerClient(way);
  await call(manager, new secrets.CreateSecretCommand({ Name: `${prefix}/secret`, SecretString: 'not a real secret' }));
  await call(manager, new secrets.GetSecretValueCommand({ SecretId: `${prefix}/secret` }), (a) => a.SecretString);
}

async function functions(prefix) {
  const client = new lambda.LambdaClient(way);
  await call(client, new lambda.ListFunctionsCommand({ MaxItems: 10 }), (a) => a.Functions.length);
  await call(client, new lambda.ListLayersCommand({}), (a) => a.Layers.length);
  await call(client, new lambda.GetFunctionCommand({ FunctionName: `${prefix}-no-such-function` }));
}

async function objects(prefix) {
  const client = new s3.S3Client(way);
  const Bucket = `${prefix}-bucket`;
  await call(client, new s3.CreateBucketCommand({ Bucket }));
  for (const Key of KEYS) {
    await call(client, new s3.PutObjectCommand({ Bucket, Key, Body: Key }));
    await call(client, new s3.GetObjectCommand({ Bucket, Key }), (a) => a.Body.transformToString());
    await call(client, new s3.HeadObjectCommand({ Bucket, Key }), (a) => a.ContentLength);
  }
  await call(client, new s3.ListObjectsV2Command({ Bucket }), (a) => (a.Contents ?? []).map((object) => object.Key));
  for (const [Key, size] of Object.entries(SIZES)) {
    const Body = randomBytes(size);
    const parameters = { Bucket, Key, Body };
    if (Key === 'multipart') await new Upload({ client, params: parameters, partSize: 16 * 1024 * 1024 }).done();
    else await client.send(new s3.PutObjectCommand(parameters));
    const { Body: stream } = await client.send(new s3.GetObjectCommand({ Bucket, Key }));
    say({ step: `S3.RoundTrip.${Key}`, ok: sha256(await stream.transformToByteArray()) === sha256(Body), value: size });
  }
  for (const Key of KEYS) await call(client, new s3.DeleteObjectCommand({ Bucket, Key }));
  const Objects = Object.keys(SIZES).map((Key) => ({ Key }));
  await call(client, new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects } }), (a) => a.Deleted.length);
  await call(client, new s3.ListObjectsV2Command({ Bucket }), (a) => a.KeyCount);
}

async function denied(prefix) {
  await call(new dynamodb.DynamoDBClient(way), new dynamodb.DeleteTableCommand({ TableName: `${prefix}-table` }));
  await call(new sqs.SQSClient(way), new sqs.CreateQueueCommand({ QueueName: `${prefix}-queue` }));
  await call(new ec2.EC2Client(way), new ec2.RunInstancesCommand({ ImageId: 'ami-12345678', MinCount: 1, MaxCount: 1 }));
  await call(new iam.IAMClient(way), new iam.CreateUserCommand({ UserName: `${prefix}-user` }));
  await call(new s3.S3Client(way), new s3.PutObjectCommand({ Bucket: `${prefix}-bucket`, Key: 'k', Body: 'never stored' }));
  await call(new s3.S3Client(way), new s3.DeleteObjectCommand({ Bucket: `${prefix}-bucket`, Key: 'k' }));
  await call(new lambda.LambdaClient(way), new lambda.DeleteFunctionCommand({ FunctionName: `${prefix}-function` }));
  await call(new cloudwatch.CloudWatchClient(way), new cloudwatch.DeleteAlarmsCommand({ AlarmNames: [`${prefix}-alarm`] }));
  await call(new secrets.SecretsManagerClient(way), new secrets.DeleteSecretCommand({ SecretId: `${prefix}-secret` }));
}

async function identity(prefix) {
  const client = new sts.STSClient(way);
  await call(client, new sts.GetCallerIdentityCommand({}), ({ UserId, Account, Arn }) => ({ UserId, Account, Arn }));
  await call(client, new sts.AssumeRoleCommand({ RoleArn: 'arn:aws:iam::123456789012:role/AgentPower', RoleSessionName: prefix }));
}

const [scenario, prefix] = process.argv.slice(2);
await { services, functions, objects, denied, sts: identity }[scenario](prefix);
