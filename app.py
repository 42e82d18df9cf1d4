"""Streamlit entry: `streamlit run app.py`."""

from stillholds.views.shell import main

main()
