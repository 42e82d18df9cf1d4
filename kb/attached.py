"""Papers that a person attached to claims, as pages: entries of the library beside what its own pages name, for as long
as a link of type `attached` leads from them to a claim (`kb.attaching` draws it).
"""

from sqlmodel import Session, col, select

from kb.catalog import Sheet
from kb.dates import WrittenDate
from kb.models import ArxivPaper, Link, Paper
from kb.sources.page import Page

BEHIND = "~attached:"  # sorts behind the keys of pages: a page that a person wrote about a paper says what it is


def sheets(session: Session) -> list[Sheet]:
    """The attached papers as pages, so that they are entries whatever was imported, in whatever order."""
    attached = select(Paper.arxiv).join(Link, col(Link.source_id) == Paper.id).where(Link.type == "attached")
    papers = session.exec(select(ArxivPaper).where(col(ArxivPaper.arxiv).in_(attached)).order_by(ArxivPaper.arxiv))
    return [sheet(paper) for paper in papers]


def sheet(paper: ArxivPaper) -> Sheet:
    """What arXiv says of a paper, as a page that nobody imported."""
    date = WrittenDate.parse(f"{paper.published_at:%Y-%m-%d}")
    page = Page(kind="paper", title=paper.title, body=paper.abstract, arxiv=paper.arxiv, date=date)
    return Sheet(version_id=None, key=f"{BEHIND}{paper.arxiv}", page=page)
