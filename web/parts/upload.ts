import { type AttachmentJson, attachmentOf, uploadUrl } from "../../src/client.ts";
import { CcwError } from "../../src/domain/errors.ts";

/** Sends a file. `onProgress`: how much of it is sent, from 0 to 1; fetch does not tell that. */
export function upload(
  name: string,
  file: Blob,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (part: number) => void },
): Promise<AttachmentJson> {
  const { promise, resolve, reject } = Promise.withResolvers<AttachmentJson>();
  const request = new XMLHttpRequest();
  request.open("POST", uploadUrl("", name));
  request.setRequestHeader("content-type", "application/octet-stream");
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    if (total > 0) onProgress(loaded / total);
  });
  request.addEventListener("load", () => {
    try {
      resolve(attachmentOf(request.status, request.responseText));
    } catch (thrown) {
      reject(thrown);
    }
  });
  const cutOff = () =>
    reject(new CcwError("unavailable", "The connection to the appliance was lost.", "Attach it again."));
  request.addEventListener("error", cutOff);
  request.addEventListener("abort", cutOff);
  signal.addEventListener("abort", () => request.abort());
  request.send(file);
  return promise;
}
