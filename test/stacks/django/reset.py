"""One user's way through Django's password reset, without a browser.

    reset.py ask ADDRESS PATH         makes the account and fills in the form "forgot password" at PATH
    reset.py follow LINK ADDRESS      opens the link of the mail and sets a new password

Prints what happened as one line of JSON. It only listens to what Django says to the SMTP server: view, form, template and
mail backend are Django's.
"""
import json
import os
import smtplib
import sys
from urllib.parse import urlsplit

os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import django  # noqa: E402

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

HOST = {'secure': True, 'HTTP_HOST': 'accounts.example.com'}


def ask(address, path):
    call_command('migrate', verbosity=0)
    get_user_model().objects.create_user(address, address, 'the forgotten one')
    handed_over = []
    data = smtplib.SMTP.data

    def listening_data(connection, message):
        code, text = data(connection, message)
        handed_over.append({'message': bytes(message).hex(), 'code': code, 'text': text.decode('ascii')})
        return code, text

    smtplib.SMTP.data = listening_data
    response = Client().post(path, {'email': address}, **HOST)
    return {
        'status': response.status_code,
        'location': response.get('Location'),
        'handed_over': handed_over,
    }


def follow(link, address):
    password = 'a brand-new passphrase'
    client = Client()
    form = client.get(urlsplit(link).path, follow=True, **HOST)
    page = form.request['PATH_INFO']
    response = client.post(page, {'new_password1': password, 'new_password2': password}, **HOST)
    return {
        'status': response.status_code,
        'location': response.get('Location'),
        'changed': get_user_model().objects.get(email=address).check_password(password),
    }


COMMANDS = {'ask': ask, 'follow': follow}
print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
