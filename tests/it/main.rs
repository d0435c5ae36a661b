mod corpus_mapping;
