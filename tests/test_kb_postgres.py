from kb.store import Store
from claims import library
from tests.claims_support import NOW
def test_a(postgres):
    s = library.create(postgres.library(), NOW)
    print(postgres.run("select version()"))
