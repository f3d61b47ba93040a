"""A site of Django: models, templates and a view that fails."""

import django
import django.urls
from django.conf import settings
from django.db import connection, models
from django.http import HttpResponse
from django.template import engines
from django.test import Client

settings.configure(
    DEBUG=True,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not a secret",
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    LOGGING_CONFIG=None,
)
django.setup()


class Author(models.Model):
    """An author, known to the books."""

    name = models.CharField(max_length=50)

    class Meta:
        app_label = "library"


class Book(models.Model):
    """A book, known to its author."""

    author = models.ForeignKey(Author, models.CASCADE, related_name="books")

    class Meta:
        app_label = "library"


with connection.schema_editor() as editor:
    editor.create_model(Author)
    editor.create_model(Book)


def books(request):
    """Show the books of an author."""
    author = Author.objects.prefetch_related("books").get(name=request.GET["name"])
    template = engines["django"].from_string("{% for book in books %}{{ book.author }}{% endfor %}")
    return HttpResponse(template.render({"books": author.books.all(), "request": request}))


urlpatterns = [django.urls.path("books/", books)]


def failing_view():
    """Two requests through the test client, one for an author who is not there."""
    Book.objects.all().delete()
    Author.objects.all().delete()
    Book.objects.create(author=Author.objects.create(name="Le Guin"))
    client = Client(raise_request_exception=False)
    assert client.get("/books/", {"name": "Le Guin"}).status_code == 200
    assert client.get("/books/", {"name": "Nobody"}).status_code == 500
