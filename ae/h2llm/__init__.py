"""The published evaluation of H2-LLM (ISCA '25): nine designs on three models, four data sets and three batch sizes."""
