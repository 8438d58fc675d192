import { createTransport } from "nodemailer";
import { headlineOf, type NotificationMessage, type SendOutcome, textOf } from "../domain/notification.ts";
import { wordsOf } from "./outgoing.ts";

/** The server that takes the appliance's mail, as `[smtp]` of ccw.toml has it. */
export interface MailServer {
  host: string;
  port: number;
  /** `starttls` never falls back to plain text. */
  security: "none" | "starttls" | "tls";
  /** Undefined where the server takes mail without one. */
  login: { user: string; password: string } | undefined;
  /** `ccw <ccw@example.com>` or the address alone. */
  from: string;
  /** PEM; the runtime's own list where it is undefined. */
  authorities: readonly string[] | undefined;
}

const withinMs = 20_000;

/** One connection for each message: they are few, and a server that died costs nothing until the next try. */
export async function sendMail(
  server: MailServer,
  address: string,
  message: NotificationMessage,
  signal: AbortSignal,
): Promise<SendOutcome> {
  const { host, port, security, login, from, authorities } = server;
  const transport = createTransport({
    ...{ host, port },
    secure: security === "tls",
    requireTLS: security === "starttls",
    ignoreTLS: security === "none",
    ...(login === undefined ? {} : { auth: { user: login.user, pass: login.password } }),
    tls: { minVersion: "TLSv1.2", ...(authorities === undefined ? {} : { ca: [...authorities] }) },
    ...{
      connectionTimeout: withinMs,
      greetingTimeout: withinMs,
      dnsTimeout: withinMs,
      socketTimeout: withinMs,
    },
    // Nothing of a message is a path or an address to read from.
    ...{ disableFileAccess: true, disableUrlAccess: true },
  });
  const close = () => transport.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    signal.throwIfAborted();
    await transport.sendMail({
      from,
      to: { name: "", address },
      subject: headlineOf(message),
      text: `${textOf(message)}\n\n--\nccw-server tells you of your tasks. Change it under Settings, Notifications.\n`,
      date: new Date(message.at),
      messageId: `<${message.id}@ccw-server.invalid>`,
      // RFC 3834: nothing answers it by itself.
      headers: { "Auto-Submitted": "auto-generated" },
    });
    return { kind: "sent", status: 250 };
  } catch (thrown) {
    signal.throwIfAborted();
    const status = statusOf(thrown);
    const error = wordsOf(thrown);
    // RFC 5321, 4.2.1: what is refused by 5yz is not tried again as it is. Before the envelope (TLS, the login) it is
    // the server's set-up that is at fault, which somebody mends.
    return status >= 500 && isAboutTheMessage(thrown)
      ? { kind: "refused", status, error, off: false }
      : { kind: "again", status, error };
  } finally {
    signal.removeEventListener("abort", close);
    transport.close();
  }
}

function statusOf(thrown: unknown): number {
  return thrown instanceof Error && "responseCode" in thrown && typeof thrown.responseCode === "number"
    ? thrown.responseCode
    : 0;
}

/** nodemailer's codes for an answer to RCPT or DATA. */
function isAboutTheMessage(thrown: unknown): boolean {
  return (
    thrown instanceof Error && "code" in thrown && (thrown.code === "EENVELOPE" || thrown.code === "EMESSAGE")
  );
}
