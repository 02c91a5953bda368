"""A Django project that has accounts and nothing else. What concerns the relay is the last block."""
import os

SECRET_KEY = 'only for the test of password resets'
ALLOWED_HOSTS = ['accounts.example.com']
ROOT_URLCONF = 'urls'
USE_TZ = True
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.environ['STACK_DATABASE']}}
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'

# The admin is here for its templates: Django's own reset mail and pages are among them.
INSTALLED_APPS = [
    'django.contrib.admin',
    'django.contrib.auth',
    'django.contrib.contenttypes',
    'django.contrib.sessions',
    'django.contrib.messages',
]
MIDDLEWARE = [
    'django.contrib.sessions.middleware.SessionMiddleware',
    'django.middleware.csrf.CsrfViewMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware',
    'django.contrib.messages.middleware.MessageMiddleware',
]
TEMPLATES = [
    {
        'BACKEND': 'django.template.backends.django.DjangoTemplates',
        'APP_DIRS': True,
        'OPTIONS': {
            'context_processors': [
                'django.template.context_processors.request',
                'django.contrib.auth.context_processors.auth',
                'django.contrib.messages.context_processors.messages',
            ],
        },
    },
]

EMAIL_HOST = os.environ['STACK_SMTP_HOST']
EMAIL_PORT = int(os.environ['STACK_SMTP_PORT'])
EMAIL_HOST_USER = os.environ['STACK_SMTP_USERNAME']
EMAIL_HOST_PASSWORD = os.environ['STACK_SMTP_PASSWORD']
EMAIL_USE_TLS = True
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = 'Example Accounts <no-reply@example.com>'
