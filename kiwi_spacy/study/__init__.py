"""What a study of annotated notes needs: figures of annotators and of corpora, from the notes alone."""
