"""Model artefacts: how they are trained, stored, checked and scored. The only package that imports xgboost."""
