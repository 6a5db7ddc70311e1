import { runService } from '../worker-main';
import { mailServerCircuit, smtpMailer } from './mailer';
import { defineNotifications } from './operations';

const url = process.env['SMTP_URL'];
if (url === undefined || url === '') {
  console.error(
    'Nothing was started: notifications needs SMTP_URL, the address of a mail server, such as smtp://mail:25.',
  );
  process.exitCode = 2;
} else {
  const server = mailServerCircuit();
  const mailer = smtpMailer(url, server);
  runService(defineNotifications({ mailer, from: 'orders@shop.example' }), { circuits: [server] });
}
