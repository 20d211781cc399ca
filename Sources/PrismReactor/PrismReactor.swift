// PrismReactor
