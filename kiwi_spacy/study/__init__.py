"""What a study of annotated notes needs: figures of annotators, pipelines and corpora."""
