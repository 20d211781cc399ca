// PrismConfiguration
