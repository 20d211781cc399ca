// PrismServer
