"""Django's reset form with headers for the relay: the form that config/stacks.md shows."""
from django.contrib.auth.forms import PasswordResetForm
from django.core.mail import EmailMultiAlternatives
from django.template import loader


class TaggedPasswordResetForm(PasswordResetForm):
    def send_mail(self, subject_template_name, email_template_name, context, from_email, to_email, html_email_template_name=None):
        subject = ' '.join(loader.render_to_string(subject_template_name, context).split())
        body = loader.render_to_string(email_template_name, context)
        headers = {'X-Leadpush-Tag': 'password-reset', 'X-Leadpush-TTL': '1h'}
        mail = EmailMultiAlternatives(subject, body, from_email, [to_email], headers=headers)
        if html_email_template_name is not None:
            mail.attach_alternative(loader.render_to_string(html_email_template_name, context), 'text/html')
        mail.send()
