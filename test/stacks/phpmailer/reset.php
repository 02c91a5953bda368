<?php
/**
 * A reset mail as a PHP application sends it with PHPMailer: STARTTLS with a checked certificate, AUTH, two X-Leadpush headers.
 *
 *     php reset.php RECIPIENT        settings from STACK_SMTP_HOST, _PORT, _USERNAME, _PASSWORD and STACK_SMTP_CA
 *
 * Prints one line of JSON: the link that it wrote and the id that PHPMailer read from the 250 to the final dot.
 */
declare(strict_types=1);

use PHPMailer\PHPMailer\PHPMailer;

require '/usr/share/php/libphp-phpmailer/autoload.php';

$link = 'https://accounts.example.com/reset?user=42&token=' . bin2hex(random_bytes(32));

$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->Host = (string) getenv('STACK_SMTP_HOST');
$mail->Port = (int) getenv('STACK_SMTP_PORT');
$mail->SMTPSecure = PHPMailer::ENCRYPTION_STARTTLS;
$mail->SMTPOptions = ['ssl' => ['cafile' => (string) getenv('STACK_SMTP_CA')]];
$mail->SMTPAuth = true;
$mail->Username = (string) getenv('STACK_SMTP_USERNAME');
$mail->Password = (string) getenv('STACK_SMTP_PASSWORD');
$mail->Timeout = 10;

$mail->CharSet = PHPMailer::CHARSET_UTF8;
$mail->setFrom('no-reply@example.com', 'Example Accounts');
$mail->addAddress($argv[1]);
$mail->addCustomHeader('X-Leadpush-Tag', 'password-reset');
$mail->addCustomHeader('X-Leadpush-TTL', '15m');
$mail->Subject = 'Neues Passwort wählen';
$mail->isHTML(true);
$mail->Body = '<p>Jemand möchte ein neues Passwort. <a href="' . htmlspecialchars($link) . '">Passwort wählen</a></p>';
$mail->AltBody = "Jemand möchte ein neues Passwort:\n\n$link\n";
$mail->send();

echo json_encode(['link' => $link, 'id' => $mail->getSMTPInstance()->getLastTransactionID()]);
