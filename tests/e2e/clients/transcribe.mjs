// The JavaScript SDK's streaming client as an agent uses it. Usage: transcribe.mjs LANGUAGE SESSION.
// Says three things, each when the one before was answered, and prints what it hears.

import { StartStreamTranscriptionCommand, TranscribeStreamingClient } from '@aws-sdk/client-transcribe-streaming';

const [LanguageCode, SessionId] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));

let heard = () => {};
async function* audio() {
  for (const text of ['one', 'two', 'three']) {
    const answered = new Promise((resolve) => { heard = resolve; });
    yield { AudioEvent: { AudioChunk: Buffer.from(text) } };
    await answered;
  }
}

try {
  const answer = await new TranscribeStreamingClient().send(new StartStreamTranscriptionCommand({
    LanguageCode, SessionId, MediaEncoding: 'pcm', MediaSampleRateHertz: 16000, AudioStream: audio(),
  }));
  for await (const { TranscriptEvent } of answer.TranscriptResultStream) {
    say({ step: 'heard', value: TranscriptEvent.Transcript.Results[0].Alternatives[0].Transcript });
    heard();
  }
  say({ step: 'end', value: answer.$metadata.attempts });
} catch (error) {
  say({ step: 'error', value: { code: error.name, message: error.message, type: error.constructor.name, attempts: error.$metadata?.attempts } });
}
process.exit();
