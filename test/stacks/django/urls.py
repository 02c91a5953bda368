"""Django's own views, none of them changed, and one more reset form that sets a header."""
from django.contrib import admin
from django.contrib.auth.views import PasswordResetView
from django.urls import include, path
from forms import TaggedPasswordResetForm

urlpatterns = [
    path('accounts/', include('django.contrib.auth.urls')),
    path('tagged/', PasswordResetView.as_view(form_class=TaggedPasswordResetForm)),
    path('admin/', admin.site.urls),
]
